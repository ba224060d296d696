//! `docs/layers.md`: which layer stops what.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use wave_sandbox::{Presence, probe};

use crate::attacks;
use crate::cage::User;
use crate::checks::{BY_ONE, needs_two};
use crate::probe::{End, Evidence, Kind, Probe};
use crate::results::{Cell, Results, matrix_shape, shapes};
use crate::run::{Column, Setup, Shape};

/// Compares the document with the results, or writes it; the number of failures.
pub fn check(probes: &[Probe], results: &[Results]) -> u32 {
    let [root, ordinary] = results else {
        println!("NOT COMPARED: docs/layers.md is about runs that root starts, and this is an ordinary user");
        return 0;
    };
    if let Some(lacking) = lacking() {
        println!("NOT COMPARED: docs/layers.md is about a kernel that has {lacking}, which this one lacks");
        return 0;
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/layers.md");
    let old = fs::read_to_string(&path).unwrap_or_default();
    let new = Document { probes, old: &old, root, ordinary }.text();
    if std::env::var_os("WAVE_BLESS").is_some() {
        fs::write(path, new).expect("the repository can be written");
        return 0;
    }
    let is_same = old == new;
    println!("test layers_md_says_what_was_found ... {}", if is_same { "ok" } else { "FAILED" });
    if !is_same {
        show_difference(&old, &new, Path::new("docs/layers.md"));
    }
    u32::from(!is_same)
}

/// A facility the document relies on.
fn lacking() -> Option<&'static str> {
    const SIGNALS_AND_ABSTRACT_SOCKETS: i32 = 6;
    let found = probe();
    let detail = |name: &str| match &found.iter().find(|entry| entry.name == name)?.presence {
        Presence::Present(detail) => Some(detail.clone()),
        Presence::Missing(_) => None,
    };
    let abi = detail("landlock").and_then(|text| text.strip_prefix("ABI ")?.split(',').next()?.parse().ok());
    if abi.unwrap_or(0) < SIGNALS_AND_ABSTRACT_SOCKETS {
        return Some("Landlock ABI 6");
    }
    // A program or another directory would get the core files.
    let cores = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    if cores.is_empty() || cores.contains(['|', '/']) {
        return Some("core files in the working directory (kernel.core_pattern)");
    }
    if !attacks::has_protected_links() {
        return Some("fs.protected_hardlinks");
    }
    ["mdwe", "mseal", "CAP_SETPCAP", "CAP_SETUID"].into_iter().find(|name| detail(name).is_none())
}

fn show_difference(old: &str, new: &str, path: &Path) {
    println!("{} does not say what was found:", path.display());
    old.lines().filter(|line| !new.lines().any(|other| other == *line)).for_each(|line| println!("- {line}"));
    new.lines().filter(|line| !old.lines().any(|other| other == *line)).for_each(|line| println!("+ {line}"));
    println!("If that is right: WAVE_BLESS=1 cargo test --workspace --test breach");
}

struct Document<'a> {
    probes: &'a [Probe],
    /// What the document says so far, for attacks on what this kernel lacks.
    old: &'a str,
    root: &'a Results,
    ordinary: &'a Results,
}

const INTRODUCTION: &str = "\
# Which layer stops what

`tests/breach` writes this document, and fails if it is no longer true. To write it again:
`WAVE_BLESS=1 cargo test --workspace --test breach` as root, on Linux with Landlock ABI 6 or newer,
`PR_SET_MDWE` and `mseal`. Rows about what a kernel lacks are left as they are.

Here the guest has broken out of compiled code, and makes system calls of its own in a process that
`wave-sandbox` has sealed. Neither the monitor nor the verifier is in the way: only the kernel
layers are left. Each attack runs without a seal (it must succeed, or the row would mean nothing),
with the whole seal, with each layer left out, and with each layer alone. Success is what the host
sees: a file that changed, a packet that arrived, a process that got a signal, code that ran.

Root started the run at the level strict; [an ordinary user's](#started-by-an-ordinary-user) differs
in some rows. Files outside belong to root. The process becomes a user who owns the writable grant,
and some files outside where a row says so.

- *computes*: how the attack ends in a module without imports and grants, under the whole seal.
  `159` is the filter's refusal: the process ends with that status and a message that names the
  call.
- *all functions*: the same for a module that imports every WASI function, with a read-only grant, a
  writable grant, and, where the row says so, a listener. No filter allows more. **done** is an
  attack that succeeds, and is a line of [CAVEATS](../CAVEATS.md).
- `+`: this layer stops the attack with no other layer applied.
- **only**: with every layer but this one, the attack succeeds. An empty line of layers is an attack
  that nothing stops, or something that the grants allow.
- ¹: success would harm the machine even from within namespaces, so the control ends with an error
  behind the kernel's check of privileges.
";

const AFTER_SUMMARY: &str = "
`no_new_privs` stops nothing by itself and cannot be left out: without it, the kernel takes neither
a Landlock ruleset nor a filter from a process without privileges, and the seal fails. It ensures
that a program that is run after all gains no privileges. Installing the filter sets it too.
`final_pages` and `guest_code` cover the code of the guest.
";

const NOT_TRIED: &str = "
## Not tried

- `sysenter` from 64-bit code: if the processor has it, it returns to the 32-bit landing page, which
  a 64-bit process lacks, so there is no control. The kernel marks the call as one of i386, which the
  filter also refuses by `int 0x80`.
- `rt_sigreturn`: every filter allows it. It sets registers, which native code can do anyway.
- `uprobe` and `uretprobe`, which the kernel takes past every filter: `sandbox/tests/seal/sweep.rs`
  has them, and every other number.
";

impl Document<'_> {
    fn text(&self) -> String {
        let mut out = INTRODUCTION.to_owned();
        self.summary(&mut out);
        out.push_str(AFTER_SUMMARY);
        for section in attacks::SECTIONS {
            let rows: Vec<_> = self.probes.iter().filter(|probe| probe.section == section).collect();
            writeln!(out, "\n## {section}\n").expect("text");
            heading(&mut out);
            rows.iter().for_each(|probe| self.row(&mut out, probe, User::Root));
            if section == attacks::NETWORK {
                writeln!(out, "\nNeither module can create a socket of any family and type, with a listener or without; each was\ntried (T38, T43).")
                    .expect("text");
            }
        }
        self.by_one(&mut out);
        self.ordinary_user(&mut out);
        out.push_str(NOT_TRIED);
        out
    }

    fn summary(&self, out: &mut String) {
        let counted: Vec<_> = self.probes.iter().filter(|probe| is_counted(probe)).collect();
        out.push_str("\n## Summary\n\n");
        writeln!(out, "Of {} attacks that every kernel knows:\n", counted.len()).expect("text");
        out.push_str("| | layer | is there for | stops alone | is the only one for |\n|---|---|---|---|---|\n");
        for column in Column::ALL {
            let cells = || counted.iter().map(|probe| self.root.cell(probe, column));
            let only = cells().filter(|cell| *cell == Cell::Only).count();
            let alone = counted.iter().filter(|probe| self.root.stopped_by(probe).contains(&column)).count();
            let (short, purpose) = about(column);
            writeln!(out, "| {short} | `{}` | {purpose} | {alone} | {only} |", column.title()).expect("text");
        }
        let open: Vec<_> = counted.iter().filter(|probe| self.strict(probe, User::Root) == End::Done.text()).collect();
        writeln!(out, "\nNothing stops these {}:\n", open.len()).expect("text");
        open.iter().for_each(|probe| writeln!(out, "- {} ({})", probe.name, probe.t).expect("text"));
    }

    fn results(&self, user: User) -> &Results {
        match user {
            User::Root => self.root,
            User::Ordinary => self.ordinary,
        }
    }

    /// How it ends with all functions.
    fn strict(&self, probe: &Probe, user: User) -> &str {
        &self.results(user).of(probe, matrix_shape(probe), Setup::Strict).end
    }

    fn row(&self, out: &mut String, probe: &Probe, user: User) {
        let name = format!("| {}{} |", probe.name, if probe.is_only_reached() { "¹" } else { "" });
        let results = self.results(user);
        if !results.is_available(probe) {
            let old = self.old.lines().find(|line| line.starts_with(&name));
            let lacking = format!("{name} {} | not on the kernel of this table |{}", probe.t, " |".repeat(11));
            return writeln!(out, "{}", old.unwrap_or(&lacking)).expect("text");
        }
        let shown = |end: &str| match end {
            end if probe.kind == Kind::Permitted && end == results.control(probe) => "permitted".to_owned(),
            "done" => "**done**".to_owned(),
            end => end.to_owned(),
        };
        let computes = shapes(probe).contains(&Shape::Compute);
        let computes =
            if computes { shown(&results.of(probe, Shape::Compute, Setup::Strict).end) } else { String::new() };
        write!(out, "{name} {} | {computes} | {} |", probe.t, shown(self.strict(probe, user))).expect("text");
        for column in Column::ALL {
            let cell = match results.cell(probe, column) {
                Cell::Nothing => "",
                Cell::Stops => "+",
                Cell::Only => "**only**",
            };
            write!(out, " {cell} |").expect("text");
        }
        out.push('\n');
    }

    fn by_one(&self, out: &mut String) {
        out.push_str(
            "\n## Held by one layer alone\n\nNo layer may be the only barrier for a write to the host, another program or the network. These are the\n\
             exceptions. The monitor is in front of all of them, as long as the guest has not broken out.\n\n| attack | layer | why |\n|---|---|---|\n",
        );
        for (names, reason) in BY_ONE {
            for probe in self.probes.iter().filter(|probe| names.contains(&probe.name)) {
                let layers: Vec<_> = self.root.stopped_by(probe).into_iter().map(Column::title).collect();
                writeln!(out, "| {} | {} | {reason} |", probe.name, layers.join(", ")).expect("text");
            }
        }
    }

    fn ordinary_user(&self, out: &mut String) {
        out.push_str(
            "\n## Started by an ordinary user\n\nThe process keeps the user's ids, the kernel gives it no namespaces, and the files outside are the user's own: file \
             permissions protect none\nof them. Rows of attacks that such a user can make at all, and that end or are held in another way than above:\n\n",
        );
        heading(out);
        let mut by_one = Vec::new();
        for probe in self.probes.iter().filter(|probe| probe.control[0] == probe.control[1]) {
            if !(self.root.is_available(probe) && self.ordinary.is_available(probe)) {
                continue;
            }
            let (mut as_root, mut ordinary) = (String::new(), String::new());
            self.row(&mut as_root, probe, User::Root);
            self.row(&mut ordinary, probe, User::Ordinary);
            if as_root != ordinary {
                out.push_str(&ordinary);
            }
            if let [column] = self.ordinary.stopped_by(probe)[..]
                && needs_two(probe)
            {
                by_one.push((column, probe.name));
            }
        }
        out.push_str("\nOf the attacks that two layers should hold, one layer alone holds:\n\n");
        for column in Column::ALL {
            let names: Vec<_> = by_one.iter().filter(|(by, _)| *by == column).map(|(_, name)| *name).collect();
            if !names.is_empty() {
                writeln!(out, "- `{}`: {}.", column.title(), names.join("; ")).expect("text");
            }
        }
    }
}

/// Whether every kernel the document is compared on has what the attack is about.
fn is_counted(probe: &Probe) -> bool {
    probe.kind != Kind::Permitted && (!probe.optional || probe.evidence == Evidence::Core)
}

/// The short name of a column, and what the layer is there for.
fn about(column: Column) -> (&'static str, &'static str) {
    match column {
        Column::Descriptors => ("fds", "what the parent left open"),
        Column::Limits => ("limits", "core files, processes, locked memory; no limit is raised again"),
        Column::Namespaces => ("ns", "the network, abstract sockets and shared memory of the host"),
        Column::Identity => {
            ("ids", "what only root may do, files and processes of others (with `capabilities` and `bounding`)")
        }
        Column::NoNewPrivs => ("nnp", "programs that are run gain nothing"),
        Column::NotDumpable => ("dump", "core files, tracers, `/proc/PID` of this process"),
        Column::NoNewCode => ("mdwe", "memory that becomes executable"),
        Column::FinalPages => ("mseal", "the guest's code stays where and what it is"),
        Column::Landlock => ("landlock", "files and TCP; signals and abstract sockets"),
        Column::Seccomp => ("seccomp", "every call that no imported function needs"),
    }
}

fn heading(out: &mut String) {
    let columns: Vec<_> = Column::ALL.into_iter().map(|column| about(column).0).collect();
    writeln!(out, "| attack | T | computes | all functions | {} |", columns.join(" | ")).expect("text");
    writeln!(out, "|---|---|---|---|{}", ":-:|".repeat(columns.len())).expect("text");
}
