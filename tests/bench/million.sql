-- A channel of any size: partners, leads, one partner with many of them. Run by the superuser, with triggers (foreign
-- keys) off: every reference below is made to fit. What stands after a colon is filled in (seed.py).
set session_replication_role = replica;
set synchronous_commit = off;
set maintenance_work_mem = '512MB';

-- Sorted once at the end, an index costs a tenth of what row by row would.
create temporary table set_aside as
select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition from pg_index
where indrelid::regclass::text in ('leads', 'offers', 'shares', 'events', 'texts', 'accounts', 'contacts') and not indisunique;
do $$ declare one record; begin
    for one in select * from set_aside loop execute 'drop index ' || one.name; end loop;
end $$;

create temporary table size as
select :leads as leads, :partners as partners, :heavy as heavy, :customers as customers, :offered as offered,
       :stuck as stuck, :told as told, :vendor::bigint as vendor, now() as at, 1000000000000::bigint as base;

insert into product_lines (id, realm_id, code, name)
select base + n, 1, 'L' || n, 'Product line ' || n from size, generate_series(1, 20) n on conflict do nothing;
insert into programmes (id, realm_id, code, name)
select base + n, 1, 'P' || n, 'Programme ' || n from size, generate_series(1, 20) n;
insert into levels (id, realm_id, code, name, rank)
select base + n, 1, (array['registered', 'silver', 'gold'])[n], (array['Registered', 'Silver', 'Gold'])[n], n
from size, generate_series(1, 3) n on conflict do nothing;

-- Number 1 is the heavy one.
insert into companies (id, realm_id, kind, name, name_key, external_key, language, time_zone, created_at, updated_at)
select base + n, 1, 'partner', 'Partner ' || n, 'partner ' || n, 'BENCH-' || n, 'en', 'Europe/Vienna', at, at
from size, generate_series(1, partners) n;
insert into locations (id, realm_id, company_id, key, name, added_version, created_at)
select base + n, 1, base + n, 'main', 'Office ' || n, 1, at from size, generate_series(1, partners) n;
insert into location_facts (id, realm_id, company_id, location_id, street, city, postal, subdivision, country, lat, lon,
                            precision, capacity, calendar, active, valid_from)
select base + n, 1, base + n, base + n, 'Street ' || n, 'Town ' || n % 900, lpad((n % 9000)::text, 4, '1'),
       'AT-' || 1 + n % 9, 'AT', 46.5 + (n * 37 % 1000) / 500.0, 9.7 + (n * 61 % 1000) / 145.0, 'exact', 1000,
       :calendar::jsonb, true, at - interval '900 days'
from size, generate_series(1, partners) n;
insert into standings (id, realm_id, company_id, status, level, valid_from)
select base + n, 1, base + n, 'active', (array['registered', 'silver', 'gold'])[1 + n % 3], at - interval '900 days'
from size, generate_series(1, partners) n;
insert into agreements (id, realm_id, company_id, version, how, valid_from)
select base + n, 1, base + n, '1', 'import', at - interval '900 days' from size, generate_series(1, partners) n;
insert into certifications (id, realm_id, company_id, programme, issued, expires, valid_from)
select base + n * 4 + k, 1, base + n, 'P' || 1 + (n + k * 5) % 20, at::date - 600, at::date + 30 + (n * 13 + k) % 900,
       at - interval '600 days'
from size, generate_series(1, partners) n, generate_series(0, 1) k;
insert into authorisations (id, realm_id, company_id, product_line, valid_from)
select base + n * 8 + k, 1, base + n, 'L' || 1 + (n + k * 3) % 20, at - interval '600 days'
from size, generate_series(1, partners) n, generate_series(0, 4) k;
insert into territories (id, realm_id, company_id, location_id, kind, country, valid_from)
select base + n, 1, base + n, base + n, 'country', 'AT', at - interval '600 days' from size, generate_series(1, partners) n;
insert into routing_states (location_id, realm_id, company_id, open, credit)
select base + n, 1, base + n, 0, 0 from size, generate_series(1, partners) n;

insert into accounts (id, realm_id, name, name_key, industry, country, subdivision, postal, city, created_at)
select base + n, 1, 'Customer ' || n, 'customer ' || n, 'Industry ' || n % 40, 'AT', 'AT-' || 1 + n % 9,
       lpad((n % 9000)::text, 4, '1'), 'Town ' || n % 900, at
from size, generate_series(1, customers) n;
insert into contacts (id, realm_id, account_id, name, email, email_key, phone, street, language, created_at)
select base + n, 1, base + n, 'Buyer ' || n, 'buyer' || n || '@customer' || n || '.example',
       'buyer' || n || '@customer' || n || '.example', '+43 1 ' || n, 'Lane ' || n, 'de', at
from size, generate_series(1, customers) n;

-- Lead n goes to the heavy partner for `heavy` of all n, evenly spread, else to one of the others. The newest `offered` are
-- offered, the `stuck` before them nobody could take, the others are held in all stages. One every 40 seconds.
create temporary table plan as
select n, base + n::bigint * 4096 as id, 10001 + n as number, base + 1 + n % customers as customer,
       at - (leads - n) * interval '40 seconds' as received,
       at - (leads - n) * interval '38 seconds' as changed,
       base + case when n::bigint * heavy % leads < heavy then 1 else 2 + (n::bigint * 7919 % (partners - 1)) end as partner,
       case when n > leads - offered then 'offered' when n > leads - offered - stuck then 'unroutable' else 'held' end
           as assignment,
       case when n > leads - offered - stuck then 'new'
            else (array['new', 'working', 'qualified', 'proposed', 'won', 'lost', 'won', 'lost', 'nurture', 'lost'])[1 + n * 31 % 10]
       end as stage,
       'L' || 1 + n % 20 as line, 'P' || 1 + n % 20 as programme, 5000 + n * 37 % 200000 as amount
from size, generate_series(1, leads) n;

insert into leads (id, realm_id, company_id, number, title, account_id, contact_id, country, subdivision, postal, city, lat,
                   lon, precision, product_lines, certifications, amount, currency, language, need, industry, source,
                   channel, received_at, fingerprint, assignment, assignment_reason, stage, holder_company_id,
                   holder_location_id, offer_id, next_step, next_step_on, won_amount, won_on, created_at, updated_at)
select p.id, 1, vendor, 'L-' || number, 'Replacement of ' || line || ' for plant ' || n, customer, customer, 'AT',
       'AT-' || 1 + n % 9, lpad((n % 9000)::text, 4, '1'), 'Town ' || n % 900, 46.5 + (n * 37 % 1000) / 500.0,
       9.7 + (n * 61 % 1000) / 145.0, 'postal', array[line], array[programme], amount, 'EUR', 'de',
       'Two units of ' || line || ', on site before the season.', 'Industry ' || n % 40,
       (array['web', 'fair', 'phone', 'partner'])[1 + n % 4], 'email', received, md5(n::text), assignment,
       case when assignment = 'unroutable' then 'nobody' end, stage,
       case when assignment = 'held' then partner end, case when assignment = 'held' then partner end,
       case when assignment <> 'unroutable' then p.id end,
       case when assignment = 'held' and n % 3 = 0 then 'Call back about ' || line end,
       case when assignment = 'held' and n % 3 = 0 then at::date - 5 + (n % 400)::int end,
       case when stage = 'won' then amount end, case when stage = 'won' then changed::date end, received, changed
from plan p, size;

insert into offers (id, realm_id, lead_id, lead_number, company_id, location_id, state, brief, distance_m, offered_at,
                    remind_at, deadline_at, cap_at, answered_at, seen_at)
select p.id, 1, p.id, 'L-' || number, partner, partner, case when assignment = 'offered' then 'offered' else 'accepted' end,
       jsonb_build_object('title', 'Replacement of ' || line || ' for plant ' || n, 'need', 'Two units of ' || line,
           'country', 'AT', 'subdivision', 'AT-' || 1 + n % 9, 'postal', lpad((n % 9000)::text, 4, '1'),
           'city', 'Town ' || n % 900, 'product_lines', jsonb_build_array(line), 'certifications',
           jsonb_build_array(programme), 'band', jsonb_build_object('low', 1000000, 'high', 5000000, 'currency', 'EUR'),
           'language', 'de', 'industry', 'Industry ' || n % 40, 'files', 0, 'distance_m', 12000,
           'why', jsonb_build_object('level', 'gold', 'distance_m', 12000, 'certified', '[]'::jsonb)),
       12000, received, null, case when assignment = 'offered' then at + (n % 96 + 1) * interval '30 minutes'
           else received + interval '2 days' end, received + interval '4 days',
       case when assignment = 'held' then received + (n % 40) * interval '1 hour' end,
       case when n % 2 = 0 or assignment = 'held' then received + interval '10 minutes' end
from plan p, size where assignment <> 'unroutable';

insert into shares (company_id, subject_type, subject_id, realm_id, level, state, at)
select partner, 'lead', id, 1, case when assignment = 'offered' then 'offer' else 'full' end,
       case when assignment = 'offered' then 'offered' else stage end, changed
from plan where assignment <> 'unroutable';
-- One lead in twelve had been with another partner before.
insert into shares (company_id, subject_type, subject_id, realm_id, level, state, at)
select base + 2 + (n::bigint * 6007 + 11) % (partners - 1), 'lead', id, 1, 'past',
       (array['declined', 'expired', 'handed_back'])[1 + n % 3], changed
from plan, size where n % 12 = 0 and n < leads - offered - stuck on conflict do nothing;

insert into events (realm_id, pos, at, kind, company_id, subject_type, subject_id, type, data, audience)
select 1, row_number() over (order by n, k), received + k * interval '10 minutes',
       case when k = 3 then 'partner' else 'vendor' end, case when k = 3 then partner else vendor end, 'lead', p.id,
       (array['lead.received', 'lead.offered', 'lead.accepted'])[k],
       case k when 1 then jsonb_build_object('source', 'web')
              when 2 then jsonb_build_object('company', partner::text, 'offer', p.id::text, 'until', received + interval '2 days')
              else '{}'::jsonb end,
       case when k = 1 then array[vendor] else array[vendor, partner] end
from plan p, size, generate_series(1, 3) k
where n > leads - told and (k < 2 or assignment <> 'unroutable') and (k < 3 or assignment = 'held') order by n, k;

-- One of ten of these leads has been spoken about, by either side.
create temporary table said as
select p.*, case when n % 20 = 0 then vendor else partner end as speaker, vendor from plan p, size
where n > leads - told and n % 10 = 0 and assignment <> 'unroutable';
insert into texts (id, realm_id, company_id, kind, subject_type, subject_id, body, content_type, audience, created_at)
select id, 1, speaker, 'note', 'lead', id, 'When can somebody call about ' || line || '?', 'text/plain',
       array[vendor, partner], changed from said;
insert into events (realm_id, pos, at, kind, company_id, subject_type, subject_id, type, data, audience)
select 1, 1000000000 + n, changed, case when speaker = vendor then 'vendor' else 'partner' end, speaker, 'lead', id,
       'lead.commented', jsonb_build_object('text', id::text, 'to_all', true), array[vendor, partner]
from said order by n;

do $$ declare one record; begin
    for one in select * from set_aside loop execute one.definition; end loop;
end $$;
select setval('lead_numbers', 10001 + leads + 1) from size;
set session_replication_role = origin;
