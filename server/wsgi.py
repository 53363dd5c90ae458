"""What a WSGI server loads: `server.wsgi:app`."""

from server import create_app

app = create_app()
