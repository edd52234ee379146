"""What other systems read of events about companies and imports: codes and counts, no person."""

from portal.events.published import publish

publish(
    {
        "partner.created": ("status", "level"),
        "partner.changed": ("fields",),
        "partner.standing_changed": ("status", "level"),
        "location.added": ("location_id",),
        "location.changed": ("location_id", "fields"),
        "agreement.accepted": ("version",),
        "certification.added": ("programme", "product_line"),
        "certification.ended": ("certification_id", "programme", "product_line"),
        "territory.added": ("location_id", "kind", "country", "code"),
        "territory.removed": ("location_id", "kind", "country", "code"),
        "authorisation.added": ("product_line",),
        "authorisation.ended": ("product_line",),
        "import.done": ("new", "changed", "same", "wrong"),
        "import.failed": ("new", "changed", "same", "wrong"),
    }
)
