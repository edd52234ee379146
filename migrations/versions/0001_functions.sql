-- The signed context and the few doors that reach past row-level security. Owned by the owner login.
-- A context is "realm|kind|company|person|subject|client" and a MAC over it, the back end's pid and the transaction's
-- start: good for one transaction of one back end, forged or replayed it is nothing.
create schema app;
create table app.secret (key_in bytea not null, key_out bytea not null);
insert into app.secret
select sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'utf8')),
       sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'utf8'));

create function app.mac(m text) returns text language sql stable security definer set search_path = pg_catalog as $$
    select encode(sha256(s.key_out || sha256(s.key_in || convert_to(
        m || '|' || pg_backend_pid() || '|' || extract(epoch from now()), 'utf8'))), 'hex') from app.secret s
$$;

create function app.sign(m text) returns void language sql volatile security definer set search_path = pg_catalog as $$
    select set_config('app.ctx', m || '|' || app.mac(m), true)
$$;

-- One field of the verified context, or null: 1 realm, 2 kind, 3 company, 4 person, 5 subject, 6 client.
create function app.field(n int) returns text language plpgsql stable security definer parallel restricted
set search_path = pg_catalog as $$
declare
    v text := current_setting('app.ctx', true);
    s app.secret%rowtype;
    cut int;
    m text;
begin
    if v is null or v = '' then return null; end if;
    cut := length(v) - 65;
    if cut < 1 then return null; end if;
    m := left(v, cut);
    select * into s from app.secret;
    if right(v, 64) <> encode(sha256(s.key_out || sha256(s.key_in || convert_to(
        m || '|' || pg_backend_pid() || '|' || extract(epoch from now()), 'utf8'))), 'hex') then
        return null;
    end if;
    return nullif(split_part(m, '|', n), '');
end $$;

create function app.realm() returns bigint language sql stable parallel restricted set search_path = pg_catalog as
$$ select app.field(1)::bigint $$;
create function app.kind() returns text language sql stable parallel restricted set search_path = pg_catalog as
$$ select app.field(2) $$;
-- The company of a signed-in person or system; a mail link has a principal but is nobody's colleague.
create function app.company() returns bigint language sql stable parallel restricted set search_path = pg_catalog as
$$ select case when app.field(2) in ('vendor', 'partner') then app.field(3)::bigint end $$;
create function app.principal() returns bigint language sql stable parallel restricted set search_path = pg_catalog as
$$ select app.field(3)::bigint $$;
create function app.person() returns bigint language sql stable parallel restricted set search_path = pg_catalog as
$$ select app.field(4)::bigint $$;
create function app.subject() returns bigint language sql stable parallel restricted set search_path = pg_catalog as
$$ select case when app.field(2) = 'link' then app.field(5)::bigint end $$;
create function app.client() returns bigint language sql stable parallel restricted set search_path = pg_catalog as
$$ select app.field(6)::bigint $$;
create function app.vendor_realm() returns bigint language sql stable parallel restricted set search_path = pg_catalog as
$$ select case when app.field(2) = 'vendor' then app.field(1)::bigint end $$;

-- True on the worker login only.
create function app.may_act() returns boolean language sql stable set search_path = pg_catalog as
$$ select has_function_privilege(session_user, 'app.act(bigint, text, bigint, bigint, bigint)', 'execute') $$;

-- Business time of a realm: the only place where real time is read for business.
create function app.clock(p_realm bigint) returns timestamptz language sql stable security definer
set search_path = pg_catalog as $$
    select now() + make_interval(secs => r.clock_offset_seconds) from public.realms r where r.id = p_realm
$$;

create type app.context as (
    realm_id bigint, kind text, company_id bigint, person_id bigint, client_id bigint, subject_id bigint,
    roles text[], scopes text[], person_name text, company_name text, language text, time_zone text,
    directory_version bigint, companies bigint, now timestamptz
);

create function app.open_context(
    p_realm bigint, p_kind text, p_company bigint, p_person bigint, p_subject bigint, p_client bigint, p_scopes text[]
) returns app.context language plpgsql volatile security definer set search_path = pg_catalog as $$
declare r app.context;
begin
    r.realm_id := p_realm; r.kind := p_kind; r.company_id := p_company; r.person_id := p_person;
    r.subject_id := p_subject; r.client_id := p_client; r.scopes := p_scopes; r.companies := 1;
    perform app.sign(concat_ws('|', p_realm, p_kind, coalesce(p_company::text, ''), coalesce(p_person::text, ''),
        coalesce(p_subject::text, ''), coalesce(p_client::text, '')));
    if p_company is not null then
        select c.name, c.time_zone, c.language into r.company_name, r.time_zone, r.language
        from public.companies c where c.id = p_company;
    end if;
    if p_person is not null then
        select p.name, p.language, coalesce(p.time_zone, r.time_zone) into r.person_name, r.language, r.time_zone
        from public.people p where p.id = p_person;
        select array_agg(m.role), count(distinct m.company_id) into r.roles, r.companies
        from public.memberships m where m.person_id = p_person and m.company_id = p_company;
        select count(distinct m.company_id) into r.companies from public.memberships m where m.person_id = p_person;
    end if;
    select v.version into r.directory_version from public.directory_versions v where v.realm_id = p_realm;
    r.now := app.clock(p_realm);
    return r;
end $$;

-- What a caller shows is looked up by its hash; anything unknown, expired or revoked enters as the public.
create function app.enter(p_purpose text, p_hash bytea, p_company bigint) returns app.context
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
    c public.credentials%rowtype;
    k text;
    company bigint;
begin
    if p_purpose in ('session', 'api', 'offer') then
        select * into c from public.credentials where hash = p_hash and purpose = p_purpose and expires_at > now()
            and (idle_seconds is null or seen_at > now() - make_interval(secs => idle_seconds));
    end if;
    if c.hash is null then
        return app.open_context(1, 'public', null, null, null, null, '{}');
    end if;
    if c.purpose = 'offer' then
        return app.open_context(c.realm_id, 'link', c.company_id, c.person_id, c.subject_id, null, '{}');
    end if;
    if c.purpose = 'session' and c.seen_at < now() - interval '1 minute' then
        update public.credentials set seen_at = now() where hash = p_hash;
    end if;
    company := c.company_id;
    if c.person_id is not null and not exists (
        select 1 from public.memberships m join public.people p on p.id = m.person_id
        where m.person_id = c.person_id and m.company_id = c.company_id and p.status = 'active') then
        return app.open_context(1, 'public', null, null, null, null, '{}');
    end if;
    if p_company is not null and c.purpose = 'session' and exists (
        select 1 from public.memberships m where m.person_id = c.person_id and m.company_id = p_company) then
        company := p_company;
    end if;
    select case co.kind when 'vendor' then 'vendor' else 'partner' end into k
    from public.companies co where co.id = company;
    return app.open_context(c.realm_id, k, company, c.person_id, null, c.client_id, c.scopes);
end $$;

-- The worker login may act as anybody; the app login may not call this.
create function app.act(p_realm bigint, p_kind text, p_company bigint, p_person bigint, p_subject bigint)
returns app.context language sql volatile security definer set search_path = pg_catalog as $$
    select app.open_context(p_realm, p_kind, p_company, p_person, p_subject, null, '{}')
$$;

-- Sign-in. The hash is handed out only to a transaction that is nobody yet; Python verifies it (argon2id).
create function app.password_of(p_email_key text)
returns table (person_id bigint, hash text, company_id bigint) language plpgsql stable security definer
set search_path = pg_catalog as $$
begin
    if app.kind() is distinct from 'public' then return; end if;
    return query
    select p.id, w.hash::text,
        (select m.company_id from public.memberships m where m.person_id = p.id order by m.created_at, m.id limit 1)
    from public.people p join public.passwords w on w.person_id = p.id
    where p.realm_id = app.realm() and p.email_key = p_email_key and p.status = 'active';
end $$;

create function app.open_session(p_person bigint, p_company bigint, p_hash bytea, p_proof text, p_idle int, p_max int)
returns boolean language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
    if app.kind() is distinct from 'public' or not exists (
        select 1 from public.passwords w join public.memberships m on m.person_id = w.person_id
        where w.person_id = p_person and w.hash = p_proof and m.company_id = p_company) then
        return false;
    end if;
    insert into public.credentials (hash, purpose, realm_id, kind, company_id, person_id, scopes, created_at, seen_at,
        idle_seconds, expires_at)
    values (p_hash, 'session', app.realm(), 'person', p_company, p_person, '{}', now(), now(), p_idle,
        now() + make_interval(secs => p_max));
    return true;
end $$;

create function app.close_session(p_hash bytea, p_everywhere boolean) returns void
language sql volatile security definer set search_path = pg_catalog as $$
    delete from public.credentials c using public.credentials mine
    where mine.hash = p_hash and mine.purpose = 'session' and c.purpose = 'session'
      and (c.hash = mine.hash or (p_everywhere and c.person_id = mine.person_id))
$$;

-- An invitation or reset link, shown before it is used.
create function app.invitation(p_hash bytea) returns table (person_id bigint, name text, email text, company text)
language sql stable security definer set search_path = pg_catalog as $$
    select p.id, p.name, p.email, co.name
    from public.credentials c join public.people p on p.id = c.person_id join public.companies co on co.id = c.company_id
    where c.hash = p_hash and c.purpose in ('invite', 'reset') and c.expires_at > now()
$$;

create function app.set_password(p_link bytea, p_password text) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare person bigint; realm bigint;
begin
    delete from public.credentials where hash = p_link and purpose in ('invite', 'reset') and expires_at > now()
    returning person_id, realm_id into person, realm;
    if person is null then return null; end if;
    insert into public.passwords (person_id, realm_id, hash, changed_at) values (person, realm, p_password, now())
    on conflict (person_id) do update set hash = excluded.hash, changed_at = excluded.changed_at;
    update public.people set status = 'active' where id = person;
    delete from public.credentials where person_id = person and purpose in ('session', 'invite', 'reset');
    return person;
end $$;

-- OAuth client credentials: the secret's hash is compared here and a token is stored by its hash only.
create function app.client_of(p_client bigint, p_secret bytea) returns table (company_id bigint, scopes text[])
language sql stable security definer set search_path = pg_catalog as $$
    select a.company_id, a.scopes from public.api_clients a
    where a.id = p_client and a.secret_hash = p_secret and a.revoked_at is null
$$;

create function app.open_token(p_client bigint, p_secret bytea, p_token bytea, p_scopes text[], p_seconds int)
returns boolean language plpgsql volatile security definer set search_path = pg_catalog as $$
declare a public.api_clients%rowtype;
begin
    select * into a from public.api_clients
    where id = p_client and secret_hash = p_secret and revoked_at is null and scopes @> p_scopes;
    if a.id is null then return false; end if;
    insert into public.credentials (hash, purpose, realm_id, kind, company_id, client_id, scopes, created_at, seen_at,
        expires_at)
    values (p_token, 'api', a.realm_id, 'client', a.company_id, a.id, p_scopes, now(), now(),
        now() + make_interval(secs => p_seconds));
    return true;
end $$;

-- Attempts left for a key in the current window; negative when throttled. Real time, not business time.
create function app.throttle(p_key bytea, p_limit int, p_seconds int) returns int
language sql volatile security definer set search_path = pg_catalog as $$
    insert into public.throttles as t (key, window_start, count) values (p_key, now(), 1)
    on conflict (key) do update set
        count = case when t.window_start < now() - make_interval(secs => p_seconds) then 1 else t.count + 1 end,
        window_start = case when t.window_start < now() - make_interval(secs => p_seconds) then now()
            else t.window_start end
    returning p_limit - count
$$;

-- Parked work, for the vendor's operators: kinds and reasons, never payloads.
create function app.parked_work() returns table (kind text, items bigint, reason text, since timestamptz)
language sql stable security definer set search_path = pg_catalog as $$
    select w.kind::text, count(*), max(w.last_error)::text, min(w.created_at) from public.work_items w
    where w.state = 'parked' and w.realm_id = app.vendor_realm() group by w.kind order by w.kind
$$;

-- Acceptance: the one door by which a partner opens a subject. Only its own offer, still open, before its cap.
create function app.open_offer(p_offer bigint, p_person bigint, p_now timestamptz) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare o public.offers%rowtype; l bigint; moment timestamptz;
begin
    select lead_id into l from public.offers where id = p_offer and company_id = app.principal()
        and (app.subject() is null or app.subject() = p_offer);
    if l is null then return null; end if;
    -- Lead before offer, the order every action takes, so that two of them never wait for each other.
    perform 1 from public.leads where id = l for update;
    -- On the app login business time is the realm's; only the worker (demo, tests) may say another.
    moment := case when app.may_act() then p_now else app.clock(app.realm()) end;
    select * into o from public.offers where id = p_offer and state = 'offered' and deadline_at > moment for update;
    if o.id is null then return null; end if;
    update public.offers set state = 'accepted', answered_at = moment, answered_by = p_person where id = o.id;
    update public.leads set assignment = 'held', assignment_reason = null, stage = 'new', holder_company_id = o.company_id,
        holder_location_id = o.location_id, holder_person_id = p_person, updated_at = moment where id = l;
    update public.shares set level = 'full', state = 'new', at = moment
    where company_id = o.company_id and subject_type = 'lead' and subject_id = l;
    return l;
end $$;

-- A mail link has answered its offer: it and the others that were mailed for this offer open nothing any more.
create function app.use_link() returns void language sql volatile security definer set search_path = pg_catalog as $$
    delete from public.credentials where purpose = 'offer' and subject_id = app.subject()
$$;

-- A partner may lower its own share, never raise it; the owner's functions and the vendor may do both.
create function app.guard_share() returns trigger language plpgsql set search_path = pg_catalog as $$
declare owner name;
begin
    select r.rolname into owner from pg_class c join pg_roles r on r.oid = c.relowner where c.oid = tg_relid;
    if current_user <> owner and app.kind() in ('partner', 'link') and (
        new.company_id <> old.company_id or new.subject_id <> old.subject_id or new.subject_type <> old.subject_type
        or (new.level <> old.level and new.level <> 'past')) then
        raise exception 'a share is raised by acceptance only' using errcode = '42501';
    end if;
    return new;
end $$;

-- A partner answers its offer with no, or marks it seen or ended; acceptance goes through app.open_offer.
create function app.guard_offer() returns trigger language plpgsql set search_path = pg_catalog as $$
declare owner name;
begin
    select r.rolname into owner from pg_class c join pg_roles r on r.oid = c.relowner where c.oid = tg_relid;
    if current_user <> owner and app.kind() in ('partner', 'link') and (
        (new.state <> old.state and not (old.state = 'offered' and new.state = 'declined'))
        or row(new.id, new.realm_id, new.company_id, new.location_id, new.lead_id, new.decision_id, new.brief,
               new.deadline_at, new.cap_at)
           is distinct from row(old.id, old.realm_id, old.company_id, old.location_id, old.lead_id, old.decision_id,
               old.brief, old.deadline_at, old.cap_at)) then
        raise exception 'an offer is accepted through app.open_offer only' using errcode = '42501';
    end if;
    return new;
end $$;

-- What routing reads has changed: once per statement.
create function app.bump() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
begin
    update public.directory_versions set version = version + 1
    where realm_id in (select distinct realm_id from changed);
    return null;
end $$;

-- The version a new location belongs to: the one its own insert makes.
create function app.next_directory_version(p_realm bigint) returns bigint language sql volatile security definer
set search_path = pg_catalog as $$
    update public.directory_versions set version = version + 1 where realm_id = p_realm returning version
$$;
