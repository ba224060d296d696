//! How fast do real programs compute inside the sandbox? `cargo bench --bench programs [-- PROGRAM] [--rounds N]`.
//!
//! Libraries in C that packages of the Rust registry bring, each with a small program around it (`guests/programs`), built natively
//! and for WASI with the same compiler and flags. They take the place of SPEC CPU, which may not be passed on. A program times its
//! work itself, so compiling and starting are not in it, and prints a checksum of what it computed, which all must agree on.

mod support;

use std::path::{Path, PathBuf};
use support::contestants::{Contestant, Guest, contestants, contestants_with_vectors, print_absent, print_who};
use support::{Args, Times, geometric_mean, sqlite};

/// A library, and how it is built.
struct Program {
    /// That of `guests/programs/NAME.c`.
    name: &'static str,
    what: &'static str,
    package: &'static str,
    version: &'static str,
    /// Where the sources are, within the package.
    dir: &'static str,
    /// Files, or directories with a slash at their end, of which every C file counts.
    sources: &'static [&'static str],
    /// Directories of header files, within `dir`.
    include: &'static [&'static str],
    flags: &'static [&'static str],
}

const PROGRAMS: &[Program] = &[
    Program {
        name: "bzip2",
        what: "compression",
        package: "bzip2-sys",
        version: "0.1.13",
        dir: "bzip2-1.0.8",
        sources: &["blocksort.c", "huffman.c", "crctable.c", "randtable.c", "compress.c", "decompress.c", "bzlib.c"],
        include: &["."],
        flags: &["-DBZ_NO_STDIO"],
    },
    Program {
        name: "zstd",
        what: "compression",
        package: "zstd-sys",
        version: "2.0.16",
        dir: "zstd/lib",
        sources: &["common/", "compress/", "decompress/"],
        include: &["."],
        flags: &["-DZSTD_DISABLE_ASM"],
    },
    Program {
        name: "lz4",
        what: "compression",
        package: "lz4-sys",
        version: "1.11.1",
        dir: "liblz4/lib",
        sources: &["lz4.c", "lz4hc.c"],
        include: &["."],
        flags: &[],
    },
    Program {
        name: "zlib",
        what: "compression",
        package: "libz-sys",
        version: "1.1.33",
        dir: "src/zlib",
        sources: &[
            "adler32.c",
            "compress.c",
            "crc32.c",
            "deflate.c",
            "inffast.c",
            "inflate.c",
            "inftrees.c",
            "trees.c",
            "uncompr.c",
            "zutil.c",
        ],
        include: &["."],
        flags: &[],
    },
    Program {
        name: "lua",
        what: "an interpreter",
        package: "lua-src",
        version: "551.1.0",
        dir: "lua-5.4.9",
        sources: &[
            "lapi.c",
            "lauxlib.c",
            "lbaselib.c",
            "lcode.c",
            "lctype.c",
            "ldebug.c",
            "ldo.c",
            "ldump.c",
            "lfunc.c",
            "lgc.c",
            "llex.c",
            "lmem.c",
            "lobject.c",
            "lopcodes.c",
            "lparser.c",
            "lstate.c",
            "lstring.c",
            "lstrlib.c",
            "ltable.c",
            "ltablib.c",
            "ltm.c",
            "lundump.c",
            "lvm.c",
            "lzio.c",
        ],
        include: &["."],
        // The program raises no error, so there is no jump to take.
        flags: &["-DLUAI_THROW(L,c)=abort()", "-DLUAI_TRY(L,c,a)={a}", "-Dluai_jmpbuf=int", "-Dl_signalT=int"],
    },
    Program {
        name: "sqlite",
        what: "a database in memory",
        package: sqlite::PACKAGE,
        version: sqlite::VERSION,
        dir: "sqlite3",
        sources: &["sqlite3.c"],
        include: &["."],
        flags: &sqlite::OPTIONS,
    },
    Program {
        name: "oniguruma",
        what: "regular expressions",
        package: "onig_sys",
        version: "69.9.3",
        dir: "oniguruma/src",
        sources: &[
            "regexec.c",
            "regerror.c",
            "regparse.c",
            "regext.c",
            "regcomp.c",
            "regenc.c",
            "regsyntax.c",
            "regtrav.c",
            "regversion.c",
            "st.c",
            "onig_init.c",
            "unicode.c",
            "ascii.c",
            "utf8.c",
            "unicode_unfold_key.c",
            "unicode_fold1_key.c",
            "unicode_fold2_key.c",
            "unicode_fold3_key.c",
        ],
        include: &["."],
        flags: &["-w"],
    },
    Program {
        name: "webp",
        what: "pictures",
        package: "libwebp-sys",
        version: "0.14.4",
        dir: "vendor",
        sources: &["sharpyuv/", "src/dec/", "src/dsp/", "src/enc/", "src/utils/"],
        include: &[".", "src"],
        flags: &[],
    },
    Program {
        name: "secp256k1",
        what: "signatures",
        package: "secp256k1-sys",
        version: "0.14.1",
        dir: "depend/secp256k1",
        sources: &["src/secp256k1.c", "src/precomputed_ecmult.c", "src/precomputed_ecmult_gen.c"],
        include: &["include"],
        flags: &[
            "-w",
            "-DECMULT_WINDOW_SIZE=15",
            "-DCOMB_BLOCKS=43",
            "-DCOMB_TEETH=6",
            "-DUSE_EXTERNAL_DEFAULT_CALLBACKS=1",
        ],
    },
    Program {
        name: "chipmunk",
        what: "a simulation of bodies",
        package: "chipmunk-sys",
        version: "0.0.4",
        dir: "chipmunk",
        sources: &["src/"],
        include: &["include"],
        flags: &["-w", "-DNDEBUG", "-fno-builtin"],
    },
    Program {
        name: "ksw2",
        what: "alignment of sequences",
        package: "ksw2-sys",
        version: "0.1.0",
        dir: "ksw2",
        sources: &["ksw2_extz.c"],
        include: &["."],
        flags: &[],
    },
];

fn main() {
    let Some(args) = Args::read("programs") else { return };
    let rounds = args.rounds(5);
    print_absent();
    let mut names = Vec::new();
    let mut ratios: Vec<Vec<f64>> = Vec::new();
    for program in PROGRAMS.iter().filter(|program| args.chosen(program.name)) {
        let contestants = program.contestants();
        let times = measure(&contestants, program.name, rounds);
        if names.is_empty() {
            names = contestants.iter().map(|one| one.name).collect();
            print_who(&contestants, rounds);
            println!("| program | what | {} |\n|---|---|{}", names.join(" | "), "---|".repeat(names.len()));
            ratios.resize_with(names.len(), Vec::new);
        }
        let native = times[0].minimum();
        let mut cells = vec![format!("{:.0} ms (+{:.0} %)", native / 1e6, times[0].spread())];
        for (times, ratios) in times.iter().zip(&mut ratios).skip(1) {
            ratios.push(times.minimum() / native);
            cells.push(format!("{:.2} (+{:.0} %)", times.minimum() / native, times.spread()));
        }
        println!("| {} {} | {} | {} |", program.name, program.version, program.what, cells.join(" | "));
    }
    println!("\nMultiples of native; in brackets how far the median of the rounds lies above their minimum.\n");
    println!("| geometric mean | of native |\n|---|---|");
    for (name, ratios) in names.iter().zip(&ratios).skip(1) {
        println!("| {name} | {:.2} |", geometric_mean(ratios));
    }
}

/// Nanoseconds of each contestant; all of them compute the same.
fn measure(contestants: &[Contestant], name: &str, rounds: usize) -> Vec<Times> {
    let work = support::directory(&format!("programs/{name}/work"));
    let mut times: Vec<_> = contestants.iter().map(|_| Times::default()).collect();
    let mut computed = None;
    for _ in 0..rounds {
        for (contestant, times) in contestants.iter().zip(&mut times) {
            let printed = support::run(&mut contestant.command(&work));
            let (nanoseconds, checksum) = printed.trim().split_once(' ').expect("a time and a checksum");
            times.add(nanoseconds.parse().expect("the time is a number"));
            let computed = computed.get_or_insert_with(|| checksum.to_owned());
            assert_eq!(checksum, computed, "{name}: {} computes something else", contestant.name);
        }
    }
    times
}

impl Program {
    fn contestants(&self) -> Vec<Contestant> {
        let root = support::package(self.package, self.version).join(self.dir);
        let sources: Vec<_> = self.sources.iter().flat_map(|source| files(&root, source)).collect();
        let shared = support::source("programs/include");
        let include: Vec<_> = self.include.iter().map(|dir| root.join(dir)).chain([shared]).collect();
        let include: Vec<_> = include.iter().map(|dir| format!("-I{}", dir.display())).collect();
        let flags: Vec<_> = include.iter().map(|flag| &**flag).chain(self.flags.iter().copied()).collect();
        let name = format!("programs/{}", self.name);
        let guest = Guest::build(&name, &sources, &flags);
        let vectors = guest.with_vectors(&name, &sources, &flags);
        let mut all = contestants(&guest);
        all.extend(contestants_with_vectors(&vectors));
        all
    }
}

/// A file, or all C files of a directory that need no threads, in the order of their names.
fn files(root: &Path, source: &str) -> Vec<PathBuf> {
    let path = root.join(source);
    if !source.ends_with('/') {
        return vec![path];
    }
    let entries = path.read_dir().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("the package is there").path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "c") && !file.ends_with("cpHastySpace.c"));
    files.sort();
    files
}
