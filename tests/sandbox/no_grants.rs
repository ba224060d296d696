//! Without a grant a guest reaches nothing; with one, exactly that. The probes say what each call answered.

use wave_test_support::{Wave, assert_tree, fill, source, writable_dir};

// Errnos of WASI preview 1.
const SUCCESS: u16 = 0;
const BADF: u16 = 8;
const INVAL: u16 = 28;
const NOTSOCK: u16 = 57;
const NOTSUP: u16 = 58;
const NOTCAPABLE: u16 = 76;

/// Runs a probe that must end well, and returns the bytes it wrote.
#[track_caller]
fn probe(wave: Wave, name: &str) -> Vec<u8> {
    let run = wave.run(source("tests/probes").join(name), [""; 0]);
    assert_eq!((run.status.code(), &*run.stderr), (Some(0), ""), "{run:?}");
    run.stdout.into_bytes()
}

/// The answers in what a probe wrote, in rows of `width`.
fn rows(bytes: &[u8], width: usize) -> Vec<Vec<u16>> {
    let answers: Vec<_> = bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    answers.chunks(width).map(<[u16]>::to_vec).collect()
}

#[test]
fn no_descriptor_leads_to_a_file() {
    let seen = rows(&probe(Wave::strict(), "files.wat"), 12);
    assert_eq!(seen, vec![vec![BADF; 12]; 14]);
}

#[test]
fn a_granted_directory_is_all_there_is() {
    let dir = writable_dir();
    fill(dir.path(), &[("etc/passwd", "the guests own")]);
    let seen = rows(&probe(Wave::strict().dir(dir.path(), "/", "rw"), "files.wat"), 12);
    let mut granted = vec![SUCCESS; 12];
    granted[0] = NOTCAPABLE; // the absolute path
    granted[3] = NOTCAPABLE; // the directory above
    assert_eq!(seen[0], granted);
    assert_eq!(seen[1..], vec![vec![BADF; 12]; 13]);
    assert_tree(dir.path(), &["etc/", "made/"]);
}

#[test]
fn a_read_only_directory_stays_as_it_was() {
    let dir = writable_dir();
    fill(dir.path(), &[("etc/passwd", "the guests own")]);
    let seen = rows(&probe(Wave::strict().dir(dir.path(), "/", "ro"), "files.wat"), 12);
    let mut granted = vec![SUCCESS; 12];
    granted[0] = NOTCAPABLE;
    granted[3] = NOTCAPABLE;
    granted[5] = NOTCAPABLE; // make a directory
    granted[6] = NOTCAPABLE; // remove a file
    assert_eq!(seen[0], granted);
    assert_tree(dir.path(), &["etc/", "etc/passwd: the guests own"]);
}

#[test]
fn no_descriptor_is_a_socket() {
    let seen = rows(&probe(Wave::strict(), "sockets.wat"), 4);
    assert_eq!(seen[..3], vec![vec![NOTSOCK; 4]; 3]);
    assert_eq!(seen[3..], vec![vec![BADF; 4]; 14]);
}

#[test]
fn clocks_show_the_time_but_not_what_the_host_computes() {
    let seen = rows(&probe(Wave::strict(), "clocks.wat"), 2);
    let time = vec![SUCCESS; 2];
    let processor = vec![NOTSUP; 2];
    assert_eq!(seen, [time.clone(), time, processor.clone(), processor, vec![INVAL; 2]]);
}

#[test]
fn nothing_of_the_hosts_environment_is_seen() {
    assert!(std::env::vars_os().next().is_some(), "the test itself has an environment");
    let seen = probe(Wave::strict(), "strings.wat");
    let (answers, strings) = seen.split_at(16);
    assert_eq!(rows(answers, 4), [[SUCCESS, 1, 12, SUCCESS], [SUCCESS, 0, 0, SUCCESS]]);
    assert_eq!(strings, b"strings.wat\0");
}

#[test]
fn granted_variables_are_seen_exactly() {
    let seen = probe(Wave::strict().flag("--argv0", "a").env("K=V").env("EMPTY="), "strings.wat");
    let (answers, strings) = seen.split_at(16);
    assert_eq!(rows(answers, 4), [[SUCCESS, 1, 2, SUCCESS], [SUCCESS, 2, 11, SUCCESS]]);
    assert_eq!(strings, b"a\0K=V\0EMPTY=\0");
}
