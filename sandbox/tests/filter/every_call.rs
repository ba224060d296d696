//! Every system call of the kernel: `policies/all-syscalls.toml` says what each does, and the filters what becomes of it. The two make
//! `docs/all-syscalls.md`.
//!
//! Columns about filters are not written by hand: they are the answers of the compiled programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use wave_policy::{
    Access, ConnectPorts, FilesystemGrant, Level, Policy, Protocol, Resolver, Role, Surface, SyscallRule,
    all_functions, all_rules, all_shapes,
};
use wave_sandbox::{Instruction, SealPlan, SystemCall, call_name, filter};

use super::{ALLOW, OTHER_ARCHITECTURES, RANGES, SELF_TEST, TRAP, X32_BIT, answer, tries};

const SOURCE: &str = "policies/all-syscalls.toml";
const DOCUMENT: &str = "docs/all-syscalls.md";

/// Where the kernel headers may be. Debian has the first, others the second.
const HEADERS: [&str; 2] = ["/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"];

/// Numbers that the tests ask about: past all that exist.
const NUMBERS: u32 = 1024;

/// Numbers of x32 alone. Every other call has its 64-bit number there.
const X32_OWN: std::ops::RangeInclusive<u32> = 512..=547;

const ERRNO: u32 = libc::SECCOMP_RET_ERRNO;

/// How far a filter may go with a call of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    Never,
    Narrowed,
    Yes,
}

struct Class {
    name: String,
    bound: Bound,
    means: String,
}

#[derive(Clone, Debug)]
struct Call {
    number: u32,
    name: String,
    classes: Vec<String>,
    does: String,
}

struct Area {
    title: String,
    calls: Vec<Call>,
}

struct Table {
    classes: Vec<Class>,
    areas: Vec<Area>,
}

impl Table {
    fn read() -> Self {
        let text = std::fs::read_to_string(in_repository(SOURCE)).expect("the table is in the repository");
        let table = DeTable::parse(&text).expect("TOML").into_inner();
        Self {
            classes: tables(&table, "class").map(class).collect(),
            areas: tables(&table, "area").map(area).collect(),
        }
    }

    fn calls(&self) -> impl Iterator<Item = &Call> {
        self.areas.iter().flat_map(|area| &area.calls)
    }

    /// The tightest bound of the classes of a call.
    fn bound(&self, call: &Call) -> Bound {
        let classes = call.classes.iter().map(|name| {
            let class = self.classes.iter().find(|class| class.name == *name);
            class.unwrap_or_else(|| panic!("{}: no class {name}", call.name)).bound
        });
        classes.min().unwrap_or_else(|| panic!("{}: it is in no class", call.name))
    }
}

fn tables<'a>(table: &'a DeTable<'a>, name: &str) -> impl Iterator<Item = &'a DeTable<'a>> {
    let array = table.get(name).and_then(|value| value.get_ref().as_array()).expect("an array of tables");
    array.iter().map(|value| value.get_ref().as_table().expect("a table"))
}

fn text(table: &DeTable<'_>, key: &str) -> String {
    let value = table.get(key).unwrap_or_else(|| panic!("{key} is missing"));
    value.get_ref().as_str().expect("a string").to_owned()
}

fn class(table: &DeTable<'_>) -> Class {
    let bound = match &*text(table, "permitted") {
        "never" => Bound::Never,
        "narrowed" => Bound::Narrowed,
        "yes" => Bound::Yes,
        other => panic!("`permitted` is never, narrowed or yes, not {other}"),
    };
    Class { name: text(table, "name"), bound, means: text(table, "means") }
}

fn area(table: &DeTable<'_>) -> Area {
    let calls = table.get("calls").and_then(|value| value.get_ref().as_array()).expect("an array of calls");
    Area { title: text(table, "title"), calls: calls.iter().map(|value| call(value.get_ref())).collect() }
}

fn call(value: &DeValue<'_>) -> Call {
    let row = value.as_array().expect("a call is an array");
    let fields: Vec<_> = row.iter().map(|field| field.get_ref()).collect();
    let [number, name, classes, does] = fields[..] else { panic!("number, name, classes, what it does: {fields:?}") };
    let string = |value: &DeValue<'_>| value.as_str().expect("a string").to_owned();
    Call {
        number: number.as_integer().expect("a number").as_str().parse().expect("a small number"),
        name: string(name),
        classes: string(classes).split(' ').map(str::to_owned).collect(),
        does: string(does),
    }
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// What is wrong with rows, compared with the calls that exist: missing, called otherwise, there twice, or unknown.
fn differences<'a>(rows: impl Iterator<Item = &'a Call>, exist: &BTreeMap<u32, String>, whole: bool) -> Vec<String> {
    let mut found = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in rows {
        if found.insert(row.number, &row.name).is_some() {
            wrong.push(format!("{} is there twice", row.number));
        }
    }
    for (number, name) in exist {
        match found.remove(number) {
            None => wrong.push(format!("{number} {name} is missing")),
            Some(row) if row != name => wrong.push(format!("{number} is {name}, not {row}")),
            Some(_) => {}
        }
    }
    if whole {
        wrong.extend(found.iter().map(|(number, name)| format!("{number} {name} is no call")));
    }
    wrong
}

/// The calls that the sandbox knows by name.
fn named() -> BTreeMap<u32, String> {
    let name = |number: u32| Some((number, call_name(usize::try_from(number).ok()?)?.to_owned()));
    (0..NUMBERS).filter_map(name).collect()
}

/// `#define __NR_read 0`
fn of_headers(text: &str) -> BTreeMap<u32, String> {
    let definition = |line: &str| {
        let (name, number) = line.strip_prefix("#define __NR_")?.split_once(' ')?;
        Some((number.trim().parse().ok()?, name.to_owned()))
    };
    text.lines().filter_map(definition).collect()
}

/// What a filter does with a call, over arguments on both sides of every condition that any rule has on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Refused,
    Fails(u32),
    Narrowed,
    Permitted,
}

impl Verdict {
    fn of(program: &[Instruction], number: u32, rules: &[&SyscallRule]) -> Self {
        let tries = tries(rules);
        let answers: BTreeSet<u32> =
            tries.iter().map(|arguments| answer(program, &SystemCall::new(number, *arguments))).collect();
        match answers.into_iter().collect::<Vec<_>>()[..] {
            [TRAP] => Self::Refused,
            [ALLOW] => Self::Permitted,
            [TRAP, ALLOW] => Self::Narrowed,
            [one] if one & !libc::SECCOMP_RET_DATA == ERRNO => Self::Fails(one & libc::SECCOMP_RET_DATA),
            ref other => panic!("{number}: answers that no filter has: {other:x?}"),
        }
    }

    fn cell(self) -> String {
        match self {
            Self::Refused => "refused".to_owned(),
            Self::Fails(errno) => format!("`{:?}`", nix::errno::Errno::from_raw(errno.cast_signed())),
            Self::Narrowed => "**if**".to_owned(),
            Self::Permitted => "**yes**".to_owned(),
        }
    }
}

/// A sealed process, and the filter of it.
struct Sealed {
    kind: &'static str,
    level: Level,
    policy: Policy,
    growable: bool,
    program: Vec<Instruction>,
}

impl Sealed {
    fn new(kind: &'static str, level: Level, policy: Policy, growable: bool) -> Self {
        let policy = Policy { level, ..policy };
        let ranges = if growable { &RANGES[..] } else { &[] };
        let program = filter(&SealPlan { growable: ranges, ..SealPlan::new(&policy) }).expect("the table compiles");
        Self { kind, level, policy, growable, program }
    }

    fn role(&self) -> Role {
        self.policy.role
    }
}

/// The published shapes, a module that imports everything with every grant, by each resolver, the worker that compiles and the broker, at both levels.
fn sealed() -> Vec<Sealed> {
    let names: Vec<_> = all_functions().iter().map(|function| function.name).collect();
    let everything = |resolver| Policy {
        surface: Surface::of_functions(&names).with_shared_memory(true).with_connections(true),
        grants: vec![FilesystemGrant { host: "/srv".into(), access: Access::ReadWrite }],
        listeners: vec![([127, 0, 0, 1], 80).into()],
        connections: vec![ConnectPorts { protocol: Protocol::Tcp, first: 443, last: 443 }],
        resolver,
        prints_results: true,
        records: true,
        ..Policy::default()
    };
    let mut all = Vec::new();
    for level in [Level::Strict, Level::Standard] {
        all.extend(all_shapes().iter().map(|shape| Sealed::new(shape.name, level, shape.policy(), shape.growable)));
        all.push(Sealed::new("everything", level, everything(Resolver::Kernel), true));
        all.push(Sealed::new("everything, manual resolver", level, everything(Resolver::Manual), true));
        for (kind, role) in [("compiler", Role::Compiler), ("broker", Role::Broker)] {
            all.push(Sealed::new(kind, level, Policy { role, ..Policy::default() }, false));
        }
    }
    all
}

fn rules_on(name: &str) -> Vec<&'static SyscallRule> {
    all_rules().iter().filter(|rule| rule.call == name).collect()
}

/// The widest verdict of guests' filters at a level, or that of another process.
struct Verdicts {
    strict: Verdict,
    standard: Verdict,
    compiler: Verdict,
    broker: Verdict,
    /// Kinds of guests whose filter permits it.
    kinds: Vec<&'static str>,
}

impl Verdicts {
    fn of(all: &[Sealed], number: u32, name: &str) -> Self {
        let rules = rules_on(name);
        let each: Vec<_> = all.iter().map(|sealed| (sealed, Verdict::of(&sealed.program, number, &rules))).collect();
        let widest = |level: Level, role: Role| {
            let chosen = each.iter().filter(|(sealed, _)| sealed.level == level && sealed.role() == role);
            let permits = |verdict: &Verdict| match verdict {
                Verdict::Refused => 0,
                Verdict::Fails(_) => 1,
                Verdict::Narrowed => 2,
                Verdict::Permitted => 3,
            };
            chosen.map(|(_, verdict)| *verdict).max_by_key(permits).expect("some filter")
        };
        let [compiler, broker] = [Role::Compiler, Role::Broker].map(|role| {
            let verdict = widest(Level::Strict, role);
            assert_eq!(
                verdict,
                widest(Level::Standard, role),
                "{name}: the {role:?}'s filter is the same at both levels"
            );
            verdict
        });
        let permits = |verdict: Verdict| matches!(verdict, Verdict::Narrowed | Verdict::Permitted);
        let strict = each.iter().filter(|(sealed, _)| sealed.level == Level::Strict && sealed.role() == Role::Guest);
        let kinds = strict.filter(|(_, verdict)| permits(*verdict)).map(|(sealed, _)| sealed.kind).collect();
        let [strict, standard] = [Level::Strict, Level::Standard].map(|level| widest(level, Role::Guest));
        Self { strict, standard, compiler, broker, kinds }
    }

    fn all(&self) -> [Verdict; 4] {
        [self.strict, self.standard, self.compiler, self.broker]
    }

    fn is_permitted(&self) -> bool {
        self.all().iter().any(|verdict| matches!(verdict, Verdict::Narrowed | Verdict::Permitted))
    }
}

/// The attacks of `docs/layers.md` that the filter ends at a call, and the layers that stop each of them alone.
#[derive(Default)]
struct Tried {
    attacks: usize,
    layers: Option<BTreeSet<String>>,
}

/// By the name of the call. Attacks as root at the level strict: the part up to the ordinary user's.
fn tried(document: &str) -> BTreeMap<String, Tried> {
    let mut found: BTreeMap<String, Tried> = BTreeMap::new();
    let mut columns: Vec<&str> = Vec::new();
    for line in document.lines().take_while(|line| *line != "## Started by an ordinary user") {
        let Some(line) = line.strip_prefix("| ").and_then(|line| line.strip_suffix('|')) else { continue };
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if cells[0] == "attack" {
            columns = cells;
            continue;
        }
        let Some(call) = cells.get(2).and_then(|cell| cell.strip_prefix("159 ")) else { continue };
        let layers = columns.iter().zip(&cells).skip(4).filter(|(name, cell)| **name != "seccomp" && !cell.is_empty());
        let layers = layers.filter(|(_, cell)| ["+", "**only**"].contains(*cell));
        let layers: BTreeSet<_> = layers.map(|(name, _)| (*name).to_owned()).collect();
        let tried = found.entry(call.to_owned()).or_default();
        tried.attacks += 1;
        tried.layers = Some(match tried.layers.take() {
            Some(before) => before.intersection(&layers).cloned().collect(),
            None => layers,
        });
    }
    found
}

fn document(table: &Table) -> String {
    let all = sealed();
    let layers = std::fs::read_to_string(in_repository("docs/layers.md")).expect("it is in the repository");
    let tried = tried(&layers);
    let mut out = INTRODUCTION.to_owned();
    out.push_str("\n| class | a filter permits it | what native code gets from it without a filter |\n|---|---|---|\n");
    for Class { name, bound, means } in &table.classes {
        let bound = match bound {
            Bound::Never => "never",
            Bound::Narrowed => "under a condition at most",
            Bound::Yes => "may",
        };
        writeln!(out, "| {name} | {bound} | {means} |").expect("strings grow");
    }
    out.push_str(TABLES);
    let mut permitted = BTreeMap::new();
    for Area { title, calls } in &table.areas {
        writeln!(out, "\n### {title}\n\n{HEAD}").expect("strings grow");
        for Call { number, name, classes, does } in calls {
            let verdicts = Verdicts::of(&all, *number, name);
            let cells = verdicts.all().map(Verdict::cell).join(" | ");
            let shown = tried.get(name).map(|Tried { attacks, layers }| {
                let layers = layers.iter().flatten().cloned().collect::<Vec<_>>().join(", ");
                if layers.is_empty() { attacks.to_string() } else { format!("{attacks}; {layers}") }
            });
            let (classes, shown) = (classes.join(", "), shown.unwrap_or_default());
            writeln!(out, "| {number} | `{name}` | {does} | {classes} | {cells} | {shown} |").expect("strings grow");
            if verdicts.is_permitted() {
                permitted.insert(number, (name, verdicts));
            }
        }
    }
    out.push_str(PERMITTED);
    for (number, (name, verdicts)) in permitted {
        let kinds = if verdicts.kinds.len() == 7 { "every guest".to_owned() } else { verdicts.kinds.join("; ") };
        let of = |role: Role| {
            let used = |rule: &&SyscallRule| {
                let with = |sealed: &Sealed| sealed.role() == role && permits(sealed, rule);
                all.iter().any(with)
            };
            let rules = rules_on(name).into_iter().filter(used).map(|rule| match rule.when {
                "" => format!("`{}`", rule.id),
                when => format!("`{}`: `{}`", rule.id, when.replace('|', "\\|")),
            });
            rules.collect::<Vec<_>>().join("; ")
        };
        let [guests, worker, broker] = [Role::Guest, Role::Compiler, Role::Broker].map(of);
        writeln!(out, "| {number} | `{name}` | {guests} | {kinds} | {worker} | {broker} |").expect("strings grow");
    }
    out.push_str(OTHER_ENTRIES);
    out
}

fn permits(sealed: &Sealed, rule: &SyscallRule) -> bool {
    sealed.policy.rules(sealed.growable).any(|other| other.id == rule.id)
}

/// Every call that the sandbox knows, and no other, once.
#[test]
fn every_known_call_has_a_row() {
    let table = Table::read();
    assert_eq!(differences(table.calls(), &named(), true), [""; 0], "{SOURCE}");
    assert!(table.calls().all(|call| !call.does.is_empty() && !call.does.contains('|')));
    let used: BTreeSet<_> = table.calls().flat_map(|call| &call.classes).collect();
    assert!(table.classes.iter().all(|class| used.contains(&class.name)), "a class without a call");
}

/// Every call of the kernel headers that are installed.
#[test]
fn every_call_of_the_kernel_headers_has_a_row() {
    let Some(headers) = HEADERS.iter().find_map(|path| std::fs::read_to_string(path).ok()) else {
        println!("NOT RUN: no kernel headers in {HEADERS:?}; Debian has them in linux-libc-dev");
        return;
    };
    let exist = of_headers(&headers);
    assert!(exist.len() > 350, "these are no headers: {} calls", exist.len());
    assert_eq!(differences(Table::read().calls(), &exist, false), [""; 0], "{SOURCE}");
}

/// The comparison notices each row that is removed, another name, and a call that is new.
#[test]
fn a_row_that_is_removed_is_missed() {
    let table = Table::read();
    let rows: Vec<_> = table.calls().cloned().collect();
    for (index, row) in rows.iter().enumerate() {
        let others = rows.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, row)| row);
        let expected = format!("{} {} is missing", row.number, row.name);
        assert_eq!(differences(others, &named(), true), [expected]);
    }
    let headers = "#define __NR_read 0\n#define __NR_write 1\n#define __NR_new 471\n#endif\n";
    assert_eq!(differences(rows.iter(), &of_headers(headers), false), ["471 new is missing"]);
    let headers = "#define __NR_reed 0\n";
    assert_eq!(differences(rows.iter(), &of_headers(headers), false), ["0 is reed, not read"]);
    assert_eq!(differences(rows.iter().chain(&rows[..1]), &named(), true), ["0 is there twice"]);
}

/// T84: for every number, the answer of each filter is what its rules say, and no wider than the classes of the call.
#[test]
fn t84_no_filter_is_wider_than_the_class_of_a_call() {
    let table = Table::read();
    let rows: BTreeMap<u32, &Call> = table.calls().map(|call| (call.number, call)).collect();
    for sealed in sealed() {
        let growable: Vec<_> = RANGES.iter().map(|range| (range.base, range.len_bytes)).collect();
        let growable = if sealed.growable { &growable[..] } else { &[] };
        let mut permitted = 0;
        for number in 0..NUMBERS {
            let Some(call) = rows.get(&number) else {
                assert_eq!(Verdict::of(&sealed.program, number, &[]), Verdict::Refused, "{}: {number}", sealed.kind);
                continue;
            };
            let verdict = Verdict::of(&sealed.program, number, &rules_on(&call.name));
            let bound = table.bound(call);
            let wide = match verdict {
                Verdict::Refused | Verdict::Fails(_) => Bound::Never,
                Verdict::Narrowed => Bound::Narrowed,
                Verdict::Permitted => Bound::Yes,
            };
            assert!(wide <= bound, "{}: {} is {verdict:?}, and its classes say {bound:?}", sealed.kind, call.name);
            permitted += usize::from(wide > Bound::Never);
            let rules: Vec<_> = rules_on(&call.name).into_iter().filter(|rule| permits(&sealed, rule)).collect();
            for arguments in tries(&rules_on(&call.name)) {
                let listed = rules.iter().any(|rule| rule.permits(&arguments, growable));
                let found = answer(&sealed.program, &SystemCall::new(number, arguments)) == ALLOW;
                assert_eq!(found, listed, "{}: {} {arguments:#x?}", sealed.kind, call.name);
            }
            if number == SELF_TEST.0 {
                assert_eq!(verdict, Verdict::Fails(SELF_TEST.1 & libc::SECCOMP_RET_DATA));
            }
        }
        assert!(permitted >= 5, "{} can do nothing", sealed.kind);
    }
}

/// The two calls that the kernel does not ask a filter about are those of the class for them.
#[test]
fn calls_past_any_filter_are_named() {
    let table = Table::read();
    let past = table.calls().filter(|call| call.classes == ["past"]).map(|call| (call.number, &*call.name));
    assert_eq!(past.collect::<Vec<_>>(), [(335, "uretprobe"), (336, "uprobe")]);
}

/// T77: by the entry of i386 and with the mark of x32, every number is refused by every filter, the worker's and the broker's included.
#[test]
fn t77_every_filter_refuses_i386_and_x32() {
    for sealed in sealed() {
        for number in 0..NUMBERS {
            for value in [0, 2, u64::MAX] {
                let call = SystemCall::new(number, [value; 6]);
                let answers = OTHER_ARCHITECTURES.map(|arch| answer(&sealed.program, &SystemCall { arch, ..call }));
                assert!(answers.iter().all(|answer| *answer == TRAP), "{}: {number}", sealed.kind);
                let x32 = SystemCall { number: number | X32_BIT, ..call };
                assert_eq!(answer(&sealed.program, &x32), TRAP, "{}: {number} of x32", sealed.kind);
            }
        }
        for number in X32_OWN {
            assert_eq!(Verdict::of(&sealed.program, number, &[]), Verdict::Refused, "{}: {number}", sealed.kind);
        }
    }
}

#[test]
fn the_document_is_what_table_and_filters_say() {
    let right = document(&Table::read());
    let path = in_repository(DOCUMENT);
    if std::env::var_os("WAVE_BLESS").is_some() {
        std::fs::write(&path, &right).expect("the repository can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let line = right.lines().zip(committed.lines()).find(|(right, committed)| right != committed);
    assert!(
        right == committed,
        "{DOCUMENT} differs, first in {line:?}: WAVE_BLESS=1 cargo test -p wave-sandbox --test filter"
    );
}

const INTRODUCTION: &str = "\
# Every system call

<!-- Made from policies/all-syscalls.toml, the filters and docs/layers.md:
`WAVE_BLESS=1 cargo test -p wave-sandbox --test filter` -->

[syscalls.md](syscalls.md) reviews the calls that a sealed process can be permitted. This document
has all that Linux has on x86-64, up to 6.19, for the question what would be lost if the filter
permitted one more. It assumes *native code*: a program that left its WebAssembly behind, in a
process with the rest of the seal. That process has no capability, the identity of an ordinary user
or of nobody, Landlock with the rights of its grants and, started by root, namespaces of its own.

What a call does and its classes are written by hand, after the manual pages and the documentation
of the kernel. Columns about filters are the answers of the filters themselves, over arguments on
both sides of every condition. `sandbox/tests/filter/every_call.rs` compares and writes them. It
fails if the kernel headers of the machine or the table of names in the sandbox know a call that has
no row here, if a filter permits more than the classes of a call allow, and if it permits a number
without a row.

The filter is the layer that refuses a call, at both levels: a process that makes it ends with
status 159. `standard` differs in what else may be missing: on a kernel without Landlock or other
layers, it runs without them. There the words below about them do not hold. `off` has no filter.
Under `strict` every call from the pages of the guest's code is refused as well, those that are
permitted included (`sandbox/tests/filter.rs::from_the_code_of_the_guest_nothing_is_permitted`).

## Classes of harm

A call can be in several; the tightest counts for its filters.
";

const TABLES: &str = "
## The calls

- *strict*, *standard*: the widest filter of any guest: the five shapes of
  [syscalls.md](syscalls.md), and a module that imports every function, with a writable grant, a
  listener, connections, shared memory, results and records, by either resolver.
- *worker*: the process that reads and compiles a module. *broker*: the one that makes connections
  for a guest, with the network of the host. The filter of each is the same at both levels.
- refused: with all arguments tried. An error name: the filter answers with that error, and the
  kernel does nothing. **if**: under a condition; **yes**: with any arguments. Both are in the
  [list of permitted calls](#permitted-calls).
- *attacks*: how many attacks of [layers.md](layers.md) the filter of a module without imports ends
  at this call, as root under `strict`. Then the layers that stop each of them alone, without the
  filter; where none is named, for some of them there is none but the filter, or only several
  together. The short names are explained there. Empty: no attack by this call was made.

Two tests show each row. `sandbox/tests/filter.rs` evaluates the compiled filters;
`sweep.rs`, `worker.rs` and `broker.rs` in `sandbox/tests/seal` make each call from 0 to 1023 in
sealed processes, with arguments of zero (all but `rt_sigreturn`, which loads registers from the
stack). Attacks are in `tests/breach`.
";

const HEAD: &str = "\
| | call | what it does | classes | strict | standard | worker | broker | attacks |
|--:|---|---|---|---|---|---|---|---|";

const PERMITTED: &str = "
## Permitted calls

Each rule and its condition, and whose filter has it. What native code gets from each is in
[syscalls.md](syscalls.md). `tests/escapes/surface` shows that an honest run needs each rule, except
those that only other kernels or C libraries need. Names in conditions are those of
[policies/syscalls.toml](../policies/syscalls.toml).

| | call | rules for guests | guests | rules for the worker | rules for the broker |
|--:|---|---|---|---|---|
";

const OTHER_ENTRIES: &str = "
## Calls past every filter

Linux asks no filter about 335 (`uretprobe`), since 6.14, and 336 (`uprobe`), in later versions: its
own probes make them, from a page that it puts into processes that are probed. From anywhere else,
`uretprobe` raises SIGILL and `uprobe` fails with ENXIO; `sandbox/tests/seal/sweep.rs` makes both in
sealed processes. The filters refuse them, which counts on older kernels.

## Other entries: i386 and x32

A 64-bit process can also enter the kernel as i386 does (`int 0x80`), with other numbers and 32-bit
arguments, and with the numbers of x32: those above with bit 30 set, and 512 to 547 for calls that
x32 has in a version of its own. Every filter refuses all of them, whatever the number and the
arguments, so they need no list. Tests evaluate the
filters for 0 to 1023 under other architectures and with that bit
(`sandbox/tests/filter.rs::t77_other_architectures_and_x32_are_refused`,
`sandbox/tests/filter/every_call.rs::t77_every_filter_refuses_i386_and_x32`), and `tests/breach`
enters so for real ([layers.md](layers.md)). 512 to 547 without the bit are refused as numbers that
nobody has.

## Numbers without a call

337 to 423 and those from 471 on have no call up to Linux 6.19. Every filter refuses them. A kernel
that gives one a meaning changes nothing here: what is not listed is not permitted.
";
