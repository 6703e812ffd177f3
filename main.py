"""What gunicorn and App Engine serve: `main:app`."""

from stork.web.app import create_app

app = create_app()
