// What a database does with its file, timed phase by phase: sqlite FILE
//
// Prints one line per phase, its name and its nanoseconds, then a checksum that must not depend on where this runs.
//
// The page cache is far smaller than the database, so pages come and go through the operating system all the time, which is
// the point. `synchronous` is off, because waiting for the disk takes the same time everywhere and far longer than all else.
// There are no locks (`unix-none`): WASI has none, and the native build must not pay for what the other one leaves out.
#include "sqlite3.h"
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROWS 20000
#define SINGLE_INSERTS 500
#define POINT_READS 20000
#define RANGES 500
#define RANGE_ROWS 100
#define UPDATES 10000
#define SINGLE_UPDATES 500

static sqlite3 *db;
static uint64_t checksum = 14695981039346656037u;
static uint64_t seed = 88172645463325252u;

static void check(int good)
{
    if (!good) {
        fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(db));
        exit(1);
    }
}

static void run(const char *sql)
{
    check(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *statement;
    check(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
    return statement;
}

// The same numbers everywhere (xorshift).
static uint32_t below(uint32_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32) % limit;
}

static void mix(int64_t value)
{
    checksum = (checksum ^ (uint64_t)value) * 1099511628211u;
}

static void insert(sqlite3_stmt *statement, int id)
{
    char name[32], text[128];
    snprintf(name, sizeof name, "name %08" PRIu32, below(100000000));
    for (size_t at = 0; at < sizeof text; at++)
        text[at] = (char)('a' + below(26));
    sqlite3_bind_int(statement, 1, id);
    sqlite3_bind_text(statement, 2, name, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int(statement, 3, (int)below(1000000));
    sqlite3_bind_text(statement, 4, text, sizeof text, SQLITE_TRANSIENT);
    check(sqlite3_step(statement) == SQLITE_DONE);
    sqlite3_reset(statement);
}

static void inserts(void)
{
    run("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, value INTEGER, text TEXT);"
        "CREATE INDEX items_value ON items (value);");
    sqlite3_stmt *statement = prepare("INSERT INTO items VALUES (?, ?, ?, ?)");
    run("BEGIN");
    for (int id = 1; id <= ROWS; id++)
        insert(statement, id);
    run("COMMIT");
    sqlite3_finalize(statement);
}

static void single_inserts(void)
{
    sqlite3_stmt *statement = prepare("INSERT INTO items VALUES (?, ?, ?, ?)");
    for (int id = ROWS + 1; id <= ROWS + SINGLE_INSERTS; id++)
        insert(statement, id);
    sqlite3_finalize(statement);
}

static void point_reads(void)
{
    sqlite3_stmt *statement = prepare("SELECT value, length(text) FROM items WHERE id = ?");
    for (int read = 0; read < POINT_READS; read++) {
        sqlite3_bind_int(statement, 1, (int)below(ROWS) + 1);
        check(sqlite3_step(statement) == SQLITE_ROW);
        mix(sqlite3_column_int64(statement, 0) + sqlite3_column_int64(statement, 1));
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
}

static void ranges(void)
{
    sqlite3_stmt *by_id = prepare("SELECT sum(value), count(*) FROM items WHERE id BETWEEN ?1 AND ?1 + ?2");
    sqlite3_stmt *by_value = prepare("SELECT id, text FROM items WHERE value >= ? ORDER BY value LIMIT ?");
    for (int range = 0; range < RANGES; range++) {
        sqlite3_bind_int(by_id, 1, (int)below(ROWS - RANGE_ROWS) + 1);
        sqlite3_bind_int(by_id, 2, RANGE_ROWS);
        check(sqlite3_step(by_id) == SQLITE_ROW);
        mix(sqlite3_column_int64(by_id, 0) + sqlite3_column_int64(by_id, 1));
        sqlite3_reset(by_id);

        sqlite3_bind_int(by_value, 1, (int)below(900000));
        sqlite3_bind_int(by_value, 2, RANGE_ROWS);
        while (sqlite3_step(by_value) == SQLITE_ROW)
            mix(sqlite3_column_int64(by_value, 0) + sqlite3_column_text(by_value, 1)[0]);
        sqlite3_reset(by_value);
    }
    sqlite3_finalize(by_id);
    sqlite3_finalize(by_value);
}

static void update(sqlite3_stmt *statement)
{
    sqlite3_bind_int(statement, 1, (int)below(1000000));
    sqlite3_bind_int(statement, 2, (int)below(ROWS) + 1);
    check(sqlite3_step(statement) == SQLITE_DONE);
    mix(sqlite3_changes(db));
    sqlite3_reset(statement);
}

static void updates(void)
{
    sqlite3_stmt *statement = prepare("UPDATE items SET value = ? WHERE id = ?");
    run("BEGIN");
    for (int done = 0; done < UPDATES; done++)
        update(statement);
    run("COMMIT");
    sqlite3_finalize(statement);
}

static void single_updates(void)
{
    sqlite3_stmt *statement = prepare("UPDATE items SET value = ? WHERE id = ?");
    for (int done = 0; done < SINGLE_UPDATES; done++)
        update(statement);
    sqlite3_finalize(statement);
}

static void phase(const char *name, void (*work)(void))
{
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    work();
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%s %" PRId64 "\n", name,
           (int64_t)(end.tv_sec - start.tv_sec) * 1000000000 + (int64_t)(end.tv_nsec - start.tv_nsec));
}

int main(int argc, char **argv)
{
    check(argc == 2);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    check(sqlite3_open_v2(argv[1], &db, flags, "unix-none") == SQLITE_OK);
    run("PRAGMA page_size = 4096; PRAGMA cache_size = 64; PRAGMA synchronous = OFF");

    phase("inserts", inserts);
    phase("single-inserts", single_inserts);
    phase("point-reads", point_reads);
    phase("ranges", ranges);
    phase("updates", updates);
    phase("single-updates", single_updates);

    sqlite3_stmt *statement = prepare("SELECT sum(id * value), count(DISTINCT name), count(*) FROM items");
    check(sqlite3_step(statement) == SQLITE_ROW);
    for (int column = 0; column < 3; column++)
        mix(sqlite3_column_int64(statement, column));
    sqlite3_finalize(statement);
    check(sqlite3_close(db) == SQLITE_OK);
    printf("checksum %016" PRIx64 "\n", checksum);
    return 0;
}
