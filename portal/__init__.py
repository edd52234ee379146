"""The web application and everything that knows the database; start reading at portal/app.py."""

import warnings

# Pyramid 2.1 still imports pkg_resources, which says so on every start; there is nothing anybody here can do about it.
warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
