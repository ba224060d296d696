//! T24: a grant as broad as `/` opens no door into the kernel or into the runtime itself.

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

/// T24: nothing on procfs and sysfs can be opened or looked at, and nothing in `/dev` opened; a file beneath the same grant can.
#[test]
fn cannot_be_opened_below_the_root() {
    let host = Host::new();
    let file = host.path("grant/file");
    let file = file.to_str().unwrap().trim_start_matches('/');
    let mut lines = String::new();
    for path in [
        "proc/self/mem",
        "proc/self/maps",
        "proc/self/environ",
        "proc/self/status",
        "proc/self/exe",
        "proc/self/root",
        "proc/self/cwd",
        "proc/self/fd/0",
        "proc/self/fd/3",
        "proc/self/root/etc/passwd",
        "proc/self/task/../mem",
        "proc/thread-self/mem",
        "proc/1/environ",
        "proc/1/root/etc/passwd",
        "proc/sys/kernel/core_pattern",
        "proc/sysrq-trigger",
        "proc/version",
        "proc",
        "proc/self",
        "sys",
        "sys/kernel",
        "sys/kernel/mm/transparent_hugepage/enabled",
        "etc/../proc/self/mem",
    ] {
        for call in [
            "open 3 FOLLOW P 0 READ",
            "open 3 0 P 0 READ",
            "open 3 FOLLOW P 0 0",
            "open 3 FOLLOW P DIRECTORY READDIR",
            "path_filestat_get 3 FOLLOW P OUT",
        ] {
            lines += &format!("{} = ANY\n", call.replace('P', &format!("\"{path}\"")));
        }
    }
    for device in ["null", "zero", "full", "random", "tty", "ptmx", "mem", "kmsg", "stdin", "fd/0"] {
        lines += &format!("open 3 FOLLOW \"dev/{device}\" 0 READ = ANY\n");
        lines += &format!("open 3 0 \"dev/{device}\" 0 READ = ANY\n");
    }
    lines +=
        &format!("open 3 0 \"{file}\" 0 READ\n fd_read [FD] {{BUF 100}} OUT\n text BUF [OUT] = \"of the grant\"\n");
    let guest = script(&lines);
    for mode in Mode::ALL {
        for access in ["ro", "rw"] {
            let mut run = guest.outcome(mode.strict().dir("/".as_ref(), "/", access));
            if access == "rw" {
                // Root is told that the guest's user may not write there.
                run.stderr.clear();
            }
            let seen = guest.check(&run);
            // NOTCAPABLE; or the kernel's own word: ACCES, LOOP, NOENT, NOTDIR, NXIO, PERM. Never success.
            for (line, answer) in seen.iter().filter(|(line, _)| line.contains("= ANY")) {
                // The names `proc` and `sys` in `/` have attributes; there it ends.
                if line.starts_with("path_filestat_get 3 FOLLOW \"proc\"")
                    || line.starts_with("path_filestat_get 3 FOLLOW \"sys\"")
                {
                    continue;
                }
                let refusals = ["76", "2", "32", "44", "54", "60", "63"];
                assert!(refusals.contains(&&**answer), "{mode:?} {access}: {line}: {answer}");
            }
            let policy = seen.iter().filter(|(line, answer)| line.contains("proc/self/maps") && answer == "76").count();
            assert!(policy >= 3, "refused by policy, not by accident: {seen:?}");
        }
    }
}

/// T24: nor can such a file system be granted.
#[test]
fn cannot_be_granted() {
    let (_dir, module) = script("").file();
    for path in ["/proc", "/proc/self", "/proc/self/fd", "/sys", "/sys/kernel"] {
        let run = Mode::Normal.strict().dir(path.as_ref(), "/", "ro").run(&module, [""; 0]);
        assert_eq!((run.status.code(), &*run.stdout), (Some(125), ""), "{path}: {run:?}");
    }
}
