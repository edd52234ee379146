"""The web shell: templates, components (tables, forms, status, waybill parts), formatting, static files."""
