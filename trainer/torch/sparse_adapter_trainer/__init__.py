"""The server of the PyTorch trainer: jobs, their logs and the gRPC service. The tensor work is in
`sparse_adapter_engine`.
"""

__version__ = "0.1.0"
