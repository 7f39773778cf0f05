"""Moving files to and from clients that do not share the trainer's disk: ArtifactService."""
