"""What is on disk under the artifact root: named safely, written whole or not at all."""
