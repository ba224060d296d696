// A database in memory: rows are inserted, joined, grouped and sorted.
#include "bench.h"
#include <sqlite3.h>

static int add_row(void *unused, int columns, char **values, char **names) {
  (void)unused, (void)names;
  for (int at = 0; at < columns; at++) check(values[at] ? values[at] : "-", values[at] ? strlen(values[at]) : 1);
  return 0;
}

int main(void) {
  static const char *const statements[] = {
      "create table person (id integer primary key, name text, city integer, age integer)",
      "create table city (id integer primary key, name text)",
      "with recursive n(i) as (select 1 union all select i + 1 from n where i < 200) insert into city select i, 'city ' || i from n",
      "with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)"
      " insert into person select i, hex(i * 7919 % 65537), i * 31 % 200 + 1, i * 17 % 90 from n",
      "create index by_city on person (city, age)",
      "select city.name, count(*), avg(age), max(person.name) from person join city on city.id = city group by city order by 3, 1",
      "select name, age from person where name like '%3A%' order by age desc, name limit 500",
      "update person set age = age + 1 where city % 7 = 3",
      "select age, count(distinct city), group_concat(substr(name, 1, 2)) from person where id % 11 = 0 group by age",
      "delete from person where age between 20 and 40",
      "select count(*), sum(length(name)), total(age) from person",
  };
  begin();
  sqlite3 *database;
  require(sqlite3_open(":memory:", &database) == SQLITE_OK, "the database does not open");
  for (size_t at = 0; at < sizeof statements / sizeof *statements; at++)
    require(sqlite3_exec(database, statements[at], add_row, NULL, NULL) == SQLITE_OK, statements[at]);
  sqlite3_close(database);
  end();
}
