-- Sign-in in steps. After the password a credential of purpose 'half' opens nothing until what is still asked for is
-- given: the code of the second factor, the company, or the setting up of a second factor that the company requires.
-- A context entered with it is of kind 'code' or 'half': a person without a company, who sees the own rows alone.

-- One event per company of the person, each for that company alone. Who did it is named where that company knows them.
create function app.tell(p_person bigint, p_type text, p_data jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
    -- Locked, so that the events of one person stand in order.
    perform 1 from public.people where id = p_person for no key update;
    insert into public.events (realm_id, at, kind, company_id, person_id, subject_type, subject_id, type, data, audience)
    select co.realm_id, app.clock(co.realm_id), case co.kind when 'vendor' then 'vendor' else 'partner' end, co.id,
        case when app.person() = p_person or app.company() = co.id then app.person() end,
        'person', p_person, p_type, p_data, array[co.id]
    from public.companies co
    where exists (select 1 from public.memberships m where m.person_id = p_person and m.company_id = co.id);
end $$;

create function app.tell_own(p_type text, p_data jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
    if app.person() is null or app.kind() not in ('vendor', 'partner', 'half') or p_type not in ('signin.signed_out', 'factor.added', 'factor.removed',
        'factor.codes_renewed', 'address.change_asked') then
        raise exception 'not an event of one''s own account' using errcode = '42501';
    end if;
    perform app.tell(app.person(), p_type, p_data);
end $$;

-- Sign-in. The hash is handed out only to a transaction that is nobody yet; Python verifies it (argon2id).
create function app.password_of(p_email_key text)
returns table (person_id bigint, hash text, company_id bigint) language plpgsql stable security definer
set search_path = pg_catalog as $$
begin
    if app.kind() is distinct from 'public' then return; end if;
    return query
    select p.id, w.hash::text,
        (select m.company_id from public.memberships m where m.person_id = p.id order by m.created_at, m.id limit 1)
    from public.people p left join public.passwords w on w.person_id = p.id
    where p.realm_id = app.realm() and p.email_key = p_email_key and p.status in ('active', 'invited');
end $$;

-- What is still missing before this person may work for this company: closed, code, choose, enrol or nothing ('open').
create function app.stage(p_person bigint, p_company bigint, p_proved boolean) returns text
language sql stable security definer set search_path = pg_catalog as $$
    select case
        when not exists (select 1 from public.people p join public.memberships m on m.person_id = p.id
            where p.id = p_person and p.status = 'active') then 'closed'
        when f.person_id is not null and not p_proved then 'code'
        when p_company is null or not exists (select 1 from public.memberships m
            where m.person_id = p_person and m.company_id = p_company) then 'choose'
        when f.person_id is null and exists (select 1 from public.companies co
            where co.id = p_company and co.factor_required) then 'enrol'
        else 'open' end
    from (values (1)) as one
    left join public.second_factors f on f.person_id = p_person
$$;

create function app.open_session(p_person bigint, p_hash bytea, p_proof text, p_device text, p_seconds int)
returns boolean language plpgsql volatile security definer set search_path = pg_catalog as $$
declare only_one bigint;
begin
    if app.kind() is distinct from 'public' or not exists (
        select 1 from public.passwords w join public.memberships m on m.person_id = w.person_id
        where w.person_id = p_person and w.hash = p_proof) then
        return false;
    end if;
    select case when count(distinct m.company_id) = 1 then min(m.company_id) end into only_one
    from public.memberships m where m.person_id = p_person;
    insert into public.credentials (hash, purpose, realm_id, kind, company_id, person_id, scopes, created_at, seen_at,
        expires_at, device)
    values (p_hash, 'half', app.realm(), 'person', only_one, p_person, '{}', now(), now(),
        now() + make_interval(secs => p_seconds), p_device);
    return true;
end $$;

create function app.half(p_hash bytea) returns table (stage text, person_id bigint, company_id bigint)
language sql stable security definer set search_path = pg_catalog as $$
    select app.stage(c.person_id, c.company_id, c.factor_at is not null), c.person_id, c.company_id
    from public.credentials c where c.hash = p_hash and c.purpose = 'half' and c.expires_at > now()
$$;

create function app.enter_half(p_hash bytea) returns app.context
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare h record; realm bigint;
begin
    select * into h from app.half(p_hash);
    if h.person_id is null or h.stage = 'closed' then
        return app.open_context(1, 'public', null, null, null, null, '{}');
    end if;
    select p.realm_id into realm from public.people p where p.id = h.person_id;
    return app.open_context(realm, case h.stage when 'code' then 'code' else 'half' end, null, h.person_id, null, null,
        '{}');
end $$;

-- The last step: nothing is missing any more. The key is a new one, and the day of a session counts from the password.
create function app.complete_session(p_hash bytea, p_new bytea, p_idle int, p_max int) returns boolean
language sql volatile security definer set search_path = pg_catalog as $$
    update public.credentials set purpose = 'session', hash = p_new, seen_at = now(), idle_seconds = p_idle,
        expires_at = created_at + make_interval(secs => p_max)
    where hash = p_hash and purpose = 'half' and expires_at > now()
      and app.stage(person_id, company_id, factor_at is not null) = 'open'
    returning true
$$;

-- A session acts for one company of its person. Where that company asks for more, the session is half again.
create function app.choose_company(p_hash bytea, p_company bigint) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare c public.credentials%rowtype; step text;
begin
    select * into c from public.credentials where hash = p_hash and purpose in ('session', 'half')
        and expires_at > now() for update;
    if c.hash is null or c.person_id is distinct from app.person() or not exists (select 1 from public.memberships m
        where m.person_id = c.person_id and m.company_id = p_company) then
        return null;
    end if;
    step := app.stage(c.person_id, p_company, c.factor_at is not null or c.purpose = 'session');
    if step not in ('open', 'enrol') then return null; end if;
    update public.credentials set company_id = p_company, purpose = case step when 'open' then purpose else 'half' end
    where hash = p_hash;
    return step;
end $$;

-- A code is used once: its step may only rise; a recovery code is deleted. `p_half` is the sign-in it belongs to.
create function app.spend_code(p_step bigint, p_recovery bytea, p_half bytea) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
    if app.kind() not in ('vendor', 'partner', 'half', 'code') then return false; end if;
    if p_step is not null then
        update public.second_factors set last_step = p_step
        where person_id = app.person() and coalesce(last_step, 0) < p_step;
    else
        delete from public.recovery_codes where person_id = app.person() and hash = p_recovery;
    end if;
    if not found then return false; end if;
    update public.credentials set factor_at = now()
    where hash = p_half and purpose = 'half' and person_id = app.person();
    return true;
end $$;

create function app.close_session(p_hash bytea, p_everywhere boolean) returns void
language sql volatile security definer set search_path = pg_catalog as $$
    delete from public.credentials c using public.credentials mine
    where mine.hash = p_hash and mine.purpose in ('session', 'half') and c.purpose in ('session', 'half')
      and (c.hash = mine.hash or (p_everywhere and c.person_id = mine.person_id))
$$;

-- The sessions of the reader; `mark` names one without being of use to anybody. Times in business time.
create function app.own_sessions(p_here bytea)
returns table (mark text, device text, company text, since timestamptz, seen timestamptz, here boolean)
language sql stable security definer set search_path = pg_catalog as $$
    select encode(sha256(c.hash), 'hex'), c.device, co.name::text,
        c.created_at + make_interval(secs => r.clock_offset_seconds),
        c.seen_at + make_interval(secs => r.clock_offset_seconds), c.hash = p_here
    from public.credentials c join public.realms r on r.id = c.realm_id
    left join public.companies co on co.id = c.company_id
    where c.person_id = app.person() and app.company() is not null and c.purpose = 'session' and c.expires_at > now()
      and (c.idle_seconds is null or c.seen_at > now() - make_interval(secs => c.idle_seconds))
    order by c.hash = p_here desc, c.seen_at desc
$$;

-- Ends the session `p_mark` of the reader, or every one but `p_keep`; how many ended.
create function app.end_sessions(p_mark text, p_keep bytea) returns bigint
language sql volatile security definer set search_path = pg_catalog as $$
    with ended as (
        delete from public.credentials
        where person_id = app.person() and app.company() is not null and purpose in ('session', 'half')
          and hash is distinct from p_keep and (p_mark is null or encode(sha256(hash), 'hex') = p_mark)
        returning 1)
    select count(*) from ended
$$;

create function app.own_companies() returns table (id bigint, name text, kind text, factor_required boolean)
language sql stable security definer set search_path = pg_catalog as $$
    select co.id, co.name::text, co.kind::text, co.factor_required from public.companies co
    where app.kind() in ('vendor', 'partner', 'half')
      and exists (select 1 from public.memberships m where m.person_id = app.person() and m.company_id = co.id)
    order by co.name_key, co.id
$$;

-- What happened to the reader's account, in every company; what was told to several is one thing.
create function app.own_sign_ins(p_rows int)
returns table (at timestamptz, type text, data jsonb, company text, own boolean)
language sql stable security definer set search_path = pg_catalog as $$
    select e.at, e.type::text, e.data, e.company, e.own from (
        select distinct on (x.at, x.type) x.id, x.at, x.type, x.data, co.name::text as company,
            x.person_id = x.subject_id as own
        from (select * from public.events where subject_type = 'person' and subject_id = app.person()
              order by id desc limit p_rows * 4) x
        join public.companies co on co.id = x.company_id
        where app.company() is not null
        order by x.at, x.type, x.id) e
    order by e.at desc, e.id desc limit p_rows
$$;

-- Who leaves a company loses the sessions that act for it; a session of somebody with another company chooses again.
create function app.left_company() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
begin
    if exists (select 1 from public.memberships where person_id = old.person_id and company_id = old.company_id) then
        return null;
    end if;
    if exists (select 1 from public.memberships where person_id = old.person_id) then
        update public.credentials set purpose = 'half', company_id = null, factor_at = coalesce(factor_at, now())
        where person_id = old.person_id and company_id = old.company_id and purpose = 'session';
        update public.credentials set company_id = null
        where person_id = old.person_id and company_id = old.company_id and purpose = 'half';
    else
        delete from public.credentials where person_id = old.person_id and purpose in ('session', 'half');
        -- A stand-in that nobody needs any more, and its invitation.
        delete from public.people where id = old.person_id and strpos(email_key, chr(10)) > 0;
        if found then delete from public.credentials where person_id = old.person_id; end if;
    end if;
    return null;
end $$;

-- A company that newly requires a second factor: sessions for it of people without one end. Whoever requires it goes
-- on to set up the own one, before anything else opens.
create function app.factor_asked() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
begin
    update public.credentials c set purpose = 'half'
    where c.company_id = new.id and c.purpose = 'session' and c.person_id = app.person()
      and not exists (select 1 from public.second_factors f where f.person_id = c.person_id);
    delete from public.credentials c
    where c.company_id = new.id and c.purpose = 'session' and c.person_id is distinct from app.person()
      and not exists (select 1 from public.second_factors f where f.person_id = c.person_id);
    return null;
end $$;

-- An invitation or reset link, shown before it is used.
create function app.invitation(p_hash bytea)
returns table (person_id bigint, name text, email text, company text, purpose text, language text)
language sql stable security definer set search_path = pg_catalog as $$
    select p.id, p.name, p.email, co.name, c.purpose, p.language
    from public.credentials c join public.people p on p.id = c.person_id join public.companies co on co.id = c.company_id
    where c.hash = p_hash and c.purpose in ('invite', 'reset', 'join') and c.expires_at > now()
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
    update public.people set status = 'active', pending_email = null where id = person;
    delete from public.credentials
    where person_id = person and purpose in ('session', 'half', 'invite', 'reset', 'address');
    perform app.tell(person, 'password.changed', '{"how": "link"}');
    return person;
end $$;

-- The reader's own password, against the hash it had; every other session ends, and links for a new one with them.
create function app.change_password(p_proof text, p_password text, p_keep bytea) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
    update public.passwords set hash = p_password, changed_at = now()
    where person_id = app.person() and hash = p_proof and app.company() is not null;
    if not found then return false; end if;
    delete from public.credentials where person_id = app.person() and hash is distinct from p_keep
        and purpose in ('session', 'half', 'reset');
    perform app.tell(app.person(), 'password.changed', '{"how": "page"}');
    return true;
end $$;

-- A link that changes an address or keeps the old one, shown before it is used.
create function app.address_link(p_hash bytea)
returns table (purpose text, name text, email text, bound_to text, changed boolean, language text)
language sql stable security definer set search_path = pg_catalog as $$
    select c.purpose::text, p.name::text, p.email::text, c.bound_to::text, p.email <> c.bound_to, p.language::text
    from public.credentials c join public.people p on p.id = c.person_id
    where c.hash = p_hash and c.expires_at > now()
      and (c.purpose = 'keep' or (c.purpose = 'address' and p.pending_email = c.bound_to))
$$;

create function app.change_address(p_hash bytea, p_key text) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare c public.credentials%rowtype; p public.people%rowtype;
begin
    delete from public.credentials where hash = p_hash and purpose = 'address' and expires_at > now() returning * into c;
    select * into p from public.people where id = c.person_id for update;
    if p.id is null or p.pending_email is distinct from c.bound_to then return 'gone'; end if;
    update public.people set pending_email = null where id = p.id;
    if exists (select 1 from public.people o where o.realm_id = p.realm_id and o.email_key = p_key and o.id <> p.id) then
        return 'taken';
    end if;
    update public.people set email = c.bound_to, email_key = p_key where id = p.id;
    delete from public.credentials
    where person_id = p.id and purpose in ('session', 'half', 'invite', 'reset', 'address');
    perform app.tell(p.id, 'address.changed', '{}');
    return 'changed';
end $$;

-- Whoever reads the old address says no: it stays or comes back, everything ends, and the password is worth nothing.
create function app.keep_address(p_hash bytea, p_key text) returns table (outcome text, person_id bigint, company_id bigint)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare c public.credentials%rowtype; p public.people%rowtype;
begin
    delete from public.credentials x where x.hash = p_hash and x.purpose = 'keep' and x.expires_at > now()
    returning x.* into c;
    select * into p from public.people x where x.id = c.person_id for update;
    if p.id is null then return query select 'gone', null::bigint, null::bigint; return; end if;
    if exists (select 1 from public.people o where o.realm_id = p.realm_id and o.email_key = p_key and o.id <> p.id) then
        return query select 'taken', null::bigint, null::bigint; return;
    end if;
    update public.people x set email = c.bound_to, email_key = p_key, pending_email = null where x.id = p.id;
    delete from public.passwords x where x.person_id = p.id;
    delete from public.credentials x
    where x.person_id = p.id and x.purpose in ('session', 'half', 'reset', 'address', 'keep');
    perform app.tell(p.id, 'address.kept', '{}');
    return query select 'kept', p.id, (select m.company_id from public.memberships m where m.person_id = p.id
        order by m.created_at, m.id limit 1);
end $$;

-- Whom an invitation of `p_company` is for. A partner must not learn who else has an account: for an address that
-- belongs to somebody of other companies a stand-in is made, whose key nobody can type, until that person accepts.
create function app.invited(p_id bigint, p_email text, p_key text, p_name text, p_language text, p_company bigint)
returns bigint language plpgsql volatile security definer set search_path = pg_catalog as $$
declare found_id bigint; stand_in text := p_key || chr(10) || p_company; own boolean := app.kind() = 'partner';
begin
    if own and app.company() is distinct from p_company or app.kind() not in ('vendor', 'partner', 'system')
       or not exists (select 1 from public.companies where id = p_company and realm_id = app.realm()) then
        raise exception 'not an inviting company' using errcode = '42501';
    end if;
    select id into found_id from public.people where realm_id = app.realm() and email_key = stand_in;
    if found_id is not null and not exists (
        select 1 from public.people where realm_id = app.realm() and email_key = p_key) then
        update public.people set email_key = p_key where id = found_id;
    elsif found_id is null then
        select id into found_id from public.people p where p.realm_id = app.realm() and p.email_key = p_key
            and (not own or exists (select 1 from public.memberships m
                where m.person_id = p.id and m.company_id = p_company));
    end if;
    if found_id is not null then return found_id; end if;
    if not own or not exists (select 1 from public.people where realm_id = app.realm() and email_key = p_key) then
        stand_in := p_key;
    end if;
    insert into public.people (id, realm_id, email, email_key, name, language, status, created_at)
    values (p_id, app.realm(), p_email, stand_in, p_name, p_language, 'invited', app.clock(app.realm()));
    return p_id;
end $$;

-- Somebody with an account accepts to work for one more company: the stand-in's roles become theirs.
create function app.join_company(p_hash bytea) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare c public.credentials%rowtype; mine bigint; vendor bigint;
begin
    delete from public.credentials where hash = p_hash and purpose = 'join' and expires_at > now() returning * into c;
    select p.id into mine from public.people s join public.people p
        on p.realm_id = s.realm_id and p.email_key = split_part(s.email_key, chr(10), 1) and p.id <> s.id
    where s.id = c.person_id;
    if mine is null then return null; end if;
    perform 1 from public.companies where id = c.company_id for no key update;
    update public.memberships m set person_id = mine
    where m.person_id = c.person_id and m.company_id = c.company_id and not exists (
        select 1 from public.memberships o
        where o.person_id = mine and o.company_id = m.company_id and o.role = m.role);
    delete from public.memberships where person_id = c.person_id;
    delete from public.credentials where person_id = c.person_id;
    delete from public.people where id = c.person_id;
    select id into vendor from public.companies where realm_id = c.realm_id and kind = 'vendor';
    insert into public.events (realm_id, at, kind, company_id, person_id, subject_type, subject_id, type, data, audience)
    values (c.realm_id, app.clock(c.realm_id), 'partner', c.company_id, mine, 'company', c.company_id, 'member.added',
        jsonb_build_object('person_id', mine::text),
        (select array_agg(distinct x order by x) from unnest(array[c.company_id, coalesce(vendor, c.company_id)]) x));
    return c.company_id;
end $$;

-- Which members of a company have a second factor: for that company and the vendor.
create function app.factor_holders(p_company bigint) returns setof bigint
language sql stable security definer set search_path = pg_catalog as $$
    select distinct f.person_id from public.second_factors f join public.memberships m on m.person_id = f.person_id
    where m.company_id = p_company
      and (p_company = app.company() or m.realm_id = app.vendor_realm())
$$;

-- Takes the second factor from a member of the company, never from oneself; sessions of that person end.
create function app.reset_factor(p_person bigint, p_company bigint) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
    if not app.may_act() and (app.person() is null or p_person = app.person()
        or (app.company() is distinct from p_company and app.vendor_realm() is null)) or not exists (
        select 1 from public.memberships where person_id = p_person and company_id = p_company
            and realm_id = app.realm()) then
        return false;
    end if;
    delete from public.recovery_codes where person_id = p_person;
    delete from public.second_factors where person_id = p_person;
    if not found then return false; end if;
    delete from public.credentials where person_id = p_person and purpose in ('session', 'half');
    perform app.tell(p_person, 'factor.reset', '{}');
    return true;
end $$;
