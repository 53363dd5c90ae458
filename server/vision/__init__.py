"""Pixels only: capturing pages and comparing images; no HTTP API, no database, no settings."""
