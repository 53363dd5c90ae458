"""The dashboard's pages, seen through a browser's eyes: real application, real database, real forms."""
