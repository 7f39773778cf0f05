# The torch trainer, for NVIDIA GPUs and CPUs. Built from the top of the clone:
#   docker build -f deploy/images/trainer.Dockerfile -t sa-orch/trainer .
# PyTorch's wheel has CUDA's libraries; the driver is the host's (NVIDIA Container Toolkit).
FROM python:3.12.11-slim-bookworm
# Triton compiles kernels when a trainer starts.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o 1000 -g 1000 /checkpoints /state
WORKDIR /opt/sa-orch
COPY trainer/torch/requirements.txt trainer/torch/requirements.txt
RUN pip install --no-cache-dir --require-hashes -r trainer/torch/requirements.txt
COPY proto proto
RUN mkdir -p gen/python \
    && find proto/sparse_adapter -name '*.proto' -exec python -m grpc_tools.protoc -I proto \
      --python_out=gen/python --grpc_python_out=gen/python {} +
COPY trainer/torch trainer/torch
# Compiled kernels go to HOME.
ENV HOME=/state
USER 1000:1000
ENTRYPOINT ["python", "-I", "-u", "-X", "utf8", "trainer/torch/isolated.py"]
CMD ["sparse_adapter_trainer", "--help"]
