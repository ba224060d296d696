//! T23: directories that are moved, and links that are swapped in, while the guest is at work.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// How many attempts a race has at least, and how often each call is made.
const ATTEMPTS: usize = 100_000;
const ROUNDS: usize = 40_000;

/// T23: a directory that is moved out of the grant while open gives no access above it, nor does the grant itself.
#[test]
fn a_moved_directory_gives_nothing_above_it() {
    let guest = script(
        r#"
        open 3 0 "dir" DIRECTORY ALL_DIR
        open 4 0 "sub" DIRECTORY ALL_DIR
        pause
        open 4 0 ".." DIRECTORY ALL_DIR = NOTCAPABLE
        open 4 0 "../secret" 0 READ = NOTCAPABLE
        open 4 0 "sub/../../secret" 0 READ = NOTCAPABLE
        open 4 0 "sub/../../new" CREAT WRITE = NOTCAPABLE
        open 5 0 "../../secret" 0 READ = NOTCAPABLE
        open 4 FOLLOW "in_up" 0 READ = NOTCAPABLE
        path_filestat_get 4 0 "sub/../../secret" OUT = NOTCAPABLE
        path_unlink_file 4 "sub/../../secret" = NOTCAPABLE
        path_rename 4 "sub/../../secret" 3 "stolen" = NOTCAPABLE
        path_create_directory 4 "sub/../../new" = NOTCAPABLE
        open 3 0 "dir/file" 0 READ = NOENT
        open 3 0 "file" 0 READ                         # the neighbors
        open 3 0 "other/../file" 0 READ
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::with_links();
        host.make_dir("grant/dir/sub");
        host.make_dir("grant/other");
        let paused = guest.start(host.granted(*mode, "rw"));
        fs::rename(host.path("grant/dir"), host.path("outside/moved")).unwrap();
        let outside = host.outside();
        paused.finish();
        assert_eq!(host.outside(), outside, "{mode:?}");
    }
}

/// T23: what is put in the place of a grant later is not granted.
#[test]
fn a_grant_is_the_directory_that_was_there_at_the_start() {
    let guest = script(
        r#"
        pause
        open 3 0 "secret" 0 READ = NOENT
        open 3 0 "dir/secret" 0 READ = NOENT
        open 3 0 "dir/file" 0 READ
        open 3 0 "new" CREAT WRITE
        "#,
    );
    for mode in Mode::ALL {
        let host = Host::new();
        let paused = guest.start(host.granted(*mode, "rw"));
        exchange(&host, "grant", "outside");
        let now_in_its_place = host.inside();
        paused.finish();
        assert_eq!(host.inside(), now_in_its_place, "{mode:?}");
        assert!(host.path("outside/new").exists(), "the guest still has what it was given");
    }
}

/// Runs the calls, each [`ROUNDS`] times, while `a` and `b` in the grant change places. `a` is what the guest names.
#[track_caller]
fn race(mode: Mode, host: &Host, calls: &str, possible: &[&str]) {
    let guest = script(format!("store FD 99\n pause\n repeat {ROUNDS}\n {calls}\n end\n tally"));
    let mut paused = Some(guest.start(host.granted(mode, "rw")));
    let (stop, swaps) = (AtomicBool::new(false), std::sync::atomic::AtomicU64::new(0));
    let (outside, seen) = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                exchange(host, "grant/a", "grant/b");
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        });
        // Stops the swaps also when an assertion fails.
        let _stop = OnDrop(|| stop.store(true, Ordering::Relaxed));
        let outside = host.outside();
        (outside, paused.take().expect("it was started").finish())
    });
    let tally = &seen.last().expect("a tally").1;
    let tally: BTreeMap<_, _> =
        tally.split_whitespace().map(|pair| pair.split_once(':').expect("an errno and a count")).collect();
    let attempts: usize = tally.values().map(|count| count.parse::<usize>().expect("a number")).sum();
    println!("{mode:?}: {attempts} attempts, {} swaps, errno:count {tally:?}", swaps.into_inner());
    assert!(attempts >= ATTEMPTS, "{attempts}");
    let ends: Vec<_> = tally.keys().copied().collect();
    assert!(ends.iter().all(|end| possible.contains(end)), "{tally:?}");
    assert!(ends.len() > 1, "no race took place: {tally:?}");
    assert_eq!(host.outside(), outside);
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn exchange(host: &Host, one: &str, other: &str) {
    let (one, other) = (host.path(one), host.path(other));
    renameat2(AT_FDCWD, &one, AT_FDCWD, &other, RenameFlags::RENAME_EXCHANGE).expect("own files can change places");
}

/// `a` a directory without a secret, `b` a link to the one outside, which has one.
fn directory_and_link() -> Host {
    let host = Host::new();
    host.make_dir("grant/a");
    host.link("grant/b", "../outside");
    host
}

/// T23: a directory on the way that becomes a link is never followed. NOENT is the directory, NOTCAPABLE the link, AGAIN
/// an attempt that the swaps never let finish.
#[test]
fn a_directory_swapped_for_a_link_is_not_followed() {
    let calls = r#"
        open 3 FOLLOW "a/secret" 0 READ|WRITE = ANY
        open 3 0 "a/secret" TRUNC READ = ANY
        path_filestat_get 3 FOLLOW "a/secret" OUT = ANY
        path_filestat_set_times 3 0 "a/secret" 1 1 ATIM|MTIM = ANY
        path_unlink_file 3 "a/secret" = ANY
        path_rename 3 "a/secret" 3 "stolen" = ANY
        path_link 3 0 "a/secret" 3 "stolen" = ANY
        path_readlink 3 "a/secret" BUF 10 OUT = ANY
        path_remove_directory 3 "a/dir" = ANY"#;
    for mode in Mode::ALL {
        race(*mode, &directory_and_link(), calls, &["44", "76", "6", "54", "32"]);
    }
}

/// T23: nor is anything created beyond it. What is created appears in the directory, if anywhere.
#[test]
fn nothing_is_created_behind_a_swapped_link() {
    let calls = r#"
        open 3 0 "a/new" CREAT|EXCL WRITE = ANY
        (drop (call $fd_close (i32.load (i32.const 64))))
        (i32.store (i32.const 64) (i32.const 99))
        path_create_directory 3 "a/made" = ANY
        path_symlink "x" 3 "a/link" = ANY
        path_rename 3 "file" 3 "a/file" = ANY
        path_link 3 0 "dir/file" 3 "a/linked" = ANY"#;
    for mode in Mode::ALL {
        race(*mode, &directory_and_link(), calls, &["0", "20", "44", "76", "6", "54", "32"]);
    }
}

/// T23, T15: a file that becomes a link to a file outside is never opened, read, cut or created through.
#[test]
fn a_file_swapped_for_a_link_is_not_followed() {
    let calls = r#"
        open 3 FOLLOW "a" 0 READ = ANY
        (i32.store (i32.const 0x1000) (i32.const 0))
        (if (i32.eqz (call $fd_read (i32.load (i32.const 64)) (i32.const 528) (i32.const 1) (i32.const 128))) (then
          (if (i32.eq (i32.load8_u (i32.const 0x1000)) (i32.const 115)) (then unreachable))))
        (drop (call $fd_close (i32.load (i32.const 64))))
        (i32.store (i32.const 64) (i32.const 99))
        open 3 FOLLOW "a" CREAT|TRUNC WRITE = ANY
        (drop (call $fd_close (i32.load (i32.const 64))))
        (i32.store (i32.const 64) (i32.const 99))
        open 3 0 "a" TRUNC WRITE = ANY
        (drop (call $fd_close (i32.load (i32.const 64))))
        (i32.store (i32.const 64) (i32.const 99))
        path_filestat_set_times 3 FOLLOW "a" 1 1 ATIM|MTIM = ANY"#;
    let calls = format!("store LIST BUF\n store LIST+4 6\n{calls}");
    for mode in Mode::ALL {
        let host = Host::new();
        host.write("grant/a", "mine");
        host.link("grant/b", "../outside/secret");
        race(*mode, &host, &calls, &["0", "44", "76", "6", "54", "32"]);
    }
}
