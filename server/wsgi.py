"""What a WSGI server loads: `server.wsgi:app`."""

from server import create_app, logs

app = create_app()
logs.configure(app.extensions["retestr"])
