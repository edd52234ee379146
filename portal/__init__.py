"""The web application and everything that knows the database; start reading at portal/app.py."""
