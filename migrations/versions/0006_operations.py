"""What the operator needs: feed cursors that survive a restore; and narrower policies for what everybody may write."""

import sqlalchemy as sa
from alembic import op

from migrations.narrowing import narrow, widen
from migrations.rls import logins

revision = "0006"
down_revision = "0005"

# Both read past row-level security, which would make the newest position a search for the newest of the reader's own;
# of single events they only tell the holder of a token whether there is one for its company.
FUNCTIONS = """
create function app.feed_tip(out epoch bigint, out pos bigint) language sql stable security definer
set search_path = pg_catalog as $$
    select (select max(id) from public.feed_epochs), (select coalesce(max(e.pos), 0) from public.events e)
$$;

-- Who polls with this token, the epoch, and whether a reader who has read up to p_seen should ask again: something is
-- there for its company, or so much came for others (p_stretch) that a new cursor spares the next look along the log.
-- It opens no context: what app.enter does costs several times as much, and nothing of anybody is shown.
create function app.feed_poll(p_token bytea, p_seen bigint, p_stretch bigint,
    out company_id bigint, out client_id bigint, out scopes text[], out epoch bigint, out news boolean)
language plpgsql stable security definer set search_path = pg_catalog as $$
declare tip bigint;
begin
    select c.company_id, c.client_id, c.scopes into company_id, client_id, scopes from public.credentials c
    where c.hash = p_token and c.purpose = 'api' and c.expires_at > now() and c.client_id is not null
        and (c.idle_seconds is null or c.seen_at > now() - make_interval(secs => c.idle_seconds));
    if company_id is null then return; end if;
    select max(f.id) into epoch from public.feed_epochs f;
    select coalesce(max(e.pos), 0) into tip from public.events e;
    news := tip < p_seen or tip > p_seen + p_stretch or (tip > p_seen and exists (
        select 1 from public.events e
        where e.pos > p_seen and e.pos <= tip and feed_poll.company_id = any(e.audience)));
end $$;
"""
SIGNATURES = ("feed_tip()", "feed_poll(bytea, bigint, bigint)")

# Sums for /metrics, over all companies: how many and how old, of what kind; nothing of anybody.
VITAL_SIGNS = """
create function app.vital_signs(out unsequenced bigint, out work jsonb, out heartbeats jsonb)
language sql stable security definer set search_path = pg_catalog as $$
    select (select count(*) from public.events where pos is null),
        (select jsonb_agg(jsonb_build_array(w.queue, w.state, w.items, w.late)) from (
            select queue, state, count(*) as items, extract(epoch from now() - min(run_at)) as late
            from public.work_items group by queue, state) w),
        (select jsonb_agg(jsonb_build_array(h.name, extract(epoch from now() - h.at))) from public.heartbeats h)
$$;
"""

# Real time, not business time, as app.throttle.
METER = """
create function app.meter(p_key bytea, p_calls int, p_seconds int, out used int, out left_s float8)
language sql volatile security definer set search_path = pg_catalog as $$
    insert into public.throttles as t (key, window_start, count) values (p_key, now(), p_calls)
    on conflict (key) do update set
        count = case when t.window_start <= now() - make_interval(secs => p_seconds) then excluded.count
            else t.count + excluded.count end,
        window_start = case when t.window_start <= now() - make_interval(secs => p_seconds) then now()
            else t.window_start end
    returning count, extract(epoch from window_start + make_interval(secs => p_seconds) - now())::float8
$$;
"""
METERS = "meter(bytea, int, int)"


def upgrade() -> None:
    """An epoch knows after which position it began; the feed asks in one call."""
    op.add_column(
        "feed_epochs", sa.Column("after_position", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.execute(FUNCTIONS)
    op.add_column("events", sa.Column("request_id", sa.String(), nullable=True))
    op.execute(VITAL_SIGNS)
    op.execute(METER)
    names = logins()
    op.execute("revoke all on function app.vital_signs() from public")
    op.execute(f'grant execute on function app.vital_signs() to "{names.app}"')
    for function in (*SIGNATURES, METERS):
        op.execute(f"revoke all on function app.{function} from public")
        op.execute(f'grant execute on function app.{function} to "{names.app}", "{names.worker}"')
    narrow()


def downgrade() -> None:
    """Functions before the column."""
    op.execute("drop function app.vital_signs()")
    op.drop_column("events", "request_id")
    widen()
    for function in (*SIGNATURES, METERS):
        op.execute(f"drop function app.{function}")
    op.drop_column("feed_epochs", "after_position")
