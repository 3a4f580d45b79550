-- Every kind of thing a MySQL server of version 8 and later can hold.
create database zoo; use zoo;
create table gen (a int primary key, b int as (a*2) virtual, c int as (a+1) stored, d int default 7 invisible,
  e varchar(40) default (concat('a','b')), check (a > 0), constraint named check (b < 1000) not enforced);
insert into gen(a,d) values (1,8),(2,9);
create table idx (a int, j json, s varchar(20), key fun ((a + 1)), key des (a desc, s), key hid (s) invisible, key multi ((cast(j->'$.z' as unsigned array))));
insert into idx values (1,'{"z":[1,2,3],"t":"é\\n\\""}','x'),(null,'[1.5, true, null]',null);
create table numbers (t tinyint, b bigint, bu bigint unsigned, d decimal(65,30), f float, db double, bt bit(64), y year);
insert into numbers values (-128,-9223372036854775808,18446744073709551615,-99999999999999999999999999999999999.999999999999999999999999999999,16777217,-1.7976931348623157e308,0xffffffffffffffff,1901),
 (127,9223372036854775807,0,1,0.1,2.2250738585072014e-308,b'0',2155),(null,null,null,null,null,null,null,null);
create table places (id int primary key, p point not null srid 4326, g geometry, spatial key(p));
insert into places values (1, st_geomfromtext('POINT(48 16)', 4326), st_geomfromtext('GEOMETRYCOLLECTION(POINT(1 1))'));
create table bytes (id int primary key, b varbinary(300), t text character set latin1, u longtext, c text character set cp1250, ci varchar(20) collate utf8mb4_0900_as_cs);
insert into bytes values (1,x'000A0D1A275C22FF','é\n\\''','𝄞 naïve',x'8183','x'),(2,'','','','',''),(3,null,null,null,null,null);
create table part (id int, y int, primary key (id, y)) partition by hash (y) partitions 3; insert into part values (1,1),(2,2),(3,3);
create table fk1 (id int primary key, o int); create table fk2 (id int primary key, o int, foreign key (o) references fk1(id));
insert into fk1 values (1,1); insert into fk2 values (1,1);
create view v1 as select a from gen; create view a_on_v1 as select a from v1;
create table gone (a int); create view broken as select * from gone; drop table gone;
delimiter ;;
create trigger tr before insert on fk1 for each row begin set new.o = ifnull(new.o, 5); end;;
create trigger tr2 before insert on fk1 for each row precedes tr set @x = ';';;
create procedure p() begin select 1; end;;
create function f(a int) returns int deterministic return a+1;;
create event ev on schedule every 1 day starts '2030-01-01 00:00:00' do delete from gen where a=100;;
delimiter ;
create user u@'%' identified by 'pw'; create user s@localhost identified by 'p''w'; create role r;
grant select on zoo.* to u; grant backup_admin on *.* to u; grant r to u; grant execute on procedure zoo.p to u; grant select(a) on zoo.gen to r;
