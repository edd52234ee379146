"""Questions that wait for an answer: words to all by the other company with none by the own company after them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from portal.companies.queries import vendor_id
from portal.db import PortalSession

# As far back as home looks: the newest comments that the reader may see, so that its cost does not grow with the log.
COMMENTS_BACK = 500
# Row-level security leaves out events and texts that are not for this reader; an offer that is over asks nobody. In
# order before anything is joined, so that no more is looked at than is shown.
UNANSWERED = text("""
    with newest as materialized (
        select id, at, realm_id, company_id, subject_type, subject_id, data from events
        where type = 'lead.commented' and audience @> array[cast(:me as bigint)]
        order by id desc limit :back
    ), said as materialized (
        select distinct on (subject_id) subject_id, id, at, coalesce(company_id, :vendor) as company_id,
               cast(data ->> 'text' as bigint) as text_id
        from newest where realm_id = :realm and subject_type = 'lead' and data ->> 'to_all' = 'true'
        order by subject_id, id desc
    )
    select o.lead_number as number, o.brief ->> 'title' as title, c.name as asker, t.body, s.at
    from (select * from said where company_id <> :me order by at desc, id desc offset 0) s
    join texts t on t.id = s.text_id
    join companies c on c.id = s.company_id
    join offers o on o.lead_id = s.subject_id and o.state in ('offered', 'accepted') and o.ended_at is null
         and o.company_id = case when :me = :vendor then s.company_id else :me end
    left join leads l on l.id = s.subject_id
    where coalesce(l.stage, 'new') not in ('won', 'lost', 'invalid', 'duplicate')
    order by s.at desc, s.id desc limit :n
""")


def unanswered(session: PortalSession, limit: int = 5) -> list[Mapping[Any, Any]]:
    """(number, title, asker, body, at) of the newest questions to the reader's company."""
    ctx, vendor = session.context, vendor_id(session)
    values = {"vendor": vendor, "me": ctx.company_id or vendor, "realm": ctx.realm_id}
    return list(session.read(UNANSWERED, values | {"back": COMMENTS_BACK, "n": limit}).mappings())
