"""The Dockerfile language as Docker reads it: lines, words, instructions, and what they do to a configuration."""
