//! The SQLite that is built, and how.

pub const PACKAGE: &str = "libsqlite3-sys";
pub const VERSION: &str = "0.35.0";

/// What WASI lacks is left out of the native build as well: threads, shared libraries, shared memory (WAL) and mappings.
/// `pread` and `pwrite` it has, but SQLite only expects them of systems it knows and would seek before every read.
pub const OPTIONS: [&str; 9] = [
    "-D_GNU_SOURCE",
    "-DHAVE_PREAD=1",
    "-DHAVE_PWRITE=1",
    "-DSQLITE_THREADSAFE=0",
    "-DSQLITE_OMIT_LOAD_EXTENSION",
    "-DSQLITE_OMIT_WAL",
    "-DSQLITE_MAX_MMAP_SIZE=0",
    "-DSQLITE_TEMP_STORE=3",
    "-DSQLITE_DEFAULT_MEMSTATUS=0",
];
