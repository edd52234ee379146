-- Signing, the clock and acting, as before but with plans that the connection keeps.
create or replace function app.mac(m text) returns text language plpgsql stable security definer
set search_path = pg_catalog as $$
declare s app.secret%rowtype;
begin
    select * into s from app.secret;
    return encode(sha256(s.key_out || sha256(s.key_in || convert_to(
        m || '|' || pg_backend_pid() || '|' || extract(epoch from now()), 'utf8'))), 'hex');
end $$;

create or replace function app.sign(m text) returns void language plpgsql volatile security definer
set search_path = pg_catalog as $$
begin
    perform set_config('app.ctx', m || '|' || app.mac(m), true);
end $$;

create or replace function app.clock(p_realm bigint) returns timestamptz language plpgsql stable security definer
set search_path = pg_catalog as $$
begin
    return (select now() + make_interval(secs => r.clock_offset_seconds) from public.realms r where r.id = p_realm);
end $$;

create or replace function app.act(p_realm bigint, p_kind text, p_company bigint, p_person bigint, p_subject bigint)
returns app.context language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
    return app.open_context(p_realm, p_kind, p_company, p_person, p_subject, null, '{}');
end $$;

-- Takes places and applies turns, all or nothing; false when the world has moved. Counters are locked in id order, then
-- places, standings and the directory's version are read again, by a statement of their own so that it sees what was
-- committed while the locks were waited for. For each id: places to take (0 or more), how many may be open, its turn.
-- Runs under the caller's policies. FOR SHARE: a suspension that is under way waits for these offers (and pulls them
-- back), or this call sees it.
create function app.reserve(p_version bigint, p_ids bigint[], p_takes bigint[], p_most bigint[], p_turns bigint[],
    p_bound bigint)
returns boolean language plpgsql volatile set search_path = pg_catalog as $$
declare
    takers bigint[] := array(select w.id from unnest(p_ids, p_takes) as w (id, take) where w.take > 0);
    good bigint;
begin
    select count(*) filter (where w.take > 0 and l.open + w.take <= w.most) into good
    from (select r.location_id, r.open from public.routing_states r where r.location_id = any(p_ids)
          order by r.location_id for update) l
    join unnest(p_ids, p_takes, p_most) as w (id, take, most) on w.id = l.location_id;
    if good < cardinality(takers) then return false; end if;
    select count(*) filter (where g.status = 'active' and g.version = p_version) into good from (
        select s.status, v.version from public.routing_states r
        join public.standings s on s.company_id = r.company_id and s.valid_to is null
        join public.directory_versions v on v.realm_id = s.realm_id
        where r.location_id = any(takers) order by s.id for share of s) g;
    if good < cardinality(takers) then return false; end if;
    update public.routing_states r set open = r.open + w.take,
        credit = least(greatest(r.credit + w.turn, -p_bound), p_bound)
    from unnest(p_ids, p_takes, p_turns) as w (id, take, turn) where r.location_id = w.id;
    return true;
end $$;

-- A partner's open leads by stage and currency: sums only, and only of what it holds itself, so the policy need not be
-- asked for each of thousands of rows.
create function app.pipeline() returns table (stage text, currency text, n bigint, worth numeric)
language plpgsql stable security definer set search_path = pg_catalog as $$
begin
    return query
    select l.stage::text, coalesce(l.currency, 'EUR')::text, count(*), coalesce(sum(l.amount), 0)
    from public.leads l
    where l.holder_company_id = (select app.company()) and l.stage in ('new', 'working', 'qualified', 'proposed')
    group by 1, 2;
end $$;
