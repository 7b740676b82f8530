create schema shop;
comment on schema shop is 'what is sold';
create role reader;
create role clerk login connection limit 5;
create role auditor nologin createdb createrole;
create database warehouse;
create type mood as enum ('sad', 'ok', 'happy');
comment on type mood is 'how it is';
create table customer (
  id serial primary key,
  name text not null,
  email varchar(80) unique,
  mood mood default 'ok',
  joined timestamptz default '2020-01-01 00:00:00+00',
  tags text[],
  profile jsonb default '{}'
);
comment on table customer is 'who buys';
comment on column customer.email is 'unique, may be absent';
create table orders (
  id bigint generated always as identity primary key,
  customer_id integer not null references customer (id) on delete cascade,
  total numeric(10,2) default 0 check (total >= 0),
  doubled numeric generated always as (total * 2) stored,
  note char(10),
  placed date,
  constraint orders_note_key unique (customer_id, note)
);
create table shop.item (code uuid primary key, weight double precision, at time with time zone, during interval, raw bytea);
create index customer_name_idx on customer (lower(name));
create index orders_recent_idx on orders (placed desc nulls last, customer_id) where total > 0;
create unique index orders_total_idx on orders (total) include (note);
create view rich as select c.name, sum(o.total) as spent from customer c join orders o on o.customer_id = c.id group by c.name having sum(o.total) > 100;
create sequence ticket start 100 increment 5;
grant select, insert on customer to reader;
grant select (name) on customer to clerk;
grant all on orders to clerk with grant option;
insert into customer (name, email, tags) values ('Ada', 'ada@example.org', '{a,b}'), ('Bob', null, null);
insert into orders (customer_id, total, note, placed) values (1, 120.50, 'first', '2024-02-29'), (2, 3, null, null);
