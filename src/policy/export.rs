//! `wave policy export`: what a policy means for the kernel, in the words of other tools.

use super::Loaded;
use crate::args::ExportFormat;
use crate::failure::Failure;
use crate::text::{clean, note, out};
use serde_json::{Value, json};
use std::path::Path;
use wave_policy::file::Derived;
use wave_policy::{Condition, FilesystemGrant, Need, Operand, Policy, Rule, Surface, Test};
use wave_sandbox::{GrowableRange, Instruction, SealPlan};

/// Stands for the linear memory of a run, whose place is chosen anew each time.
const PLACEHOLDER: GrowableRange = GrowableRange { base: 0x1000_0000, len_bytes: 4 << 30 };

/// The call that every filter answers by itself, and the error number it answers with (`EKEYREJECTED`).
const SELF_TEST: (&str, u32) = ("getppid", 129);

/// Prints an export.
///
/// # Errors
/// 125 for a policy that cannot be read, or from which the filter does not follow.
pub fn export(path: &Path, format: ExportFormat) -> Result<u8, Failure> {
    let Meant { policy, growable } = Meant::of(&Loaded::read(path)?, path)?;
    out(&match format {
        ExportFormat::OciSeccomp => {
            note(OCI_NOTE);
            oci(&policy, growable)?
        }
        ExportFormat::SeccompBpf => listing(&policy, growable)?,
        ExportFormat::Landlock => landlock(&policy),
    });
    Ok(0)
}

/// The policy of a run under a file, as far as the kernel layers go.
struct Meant {
    policy: Policy,
    growable: bool,
}

impl Meant {
    fn of(loaded: &Loaded, path: &Path) -> Result<Self, Failure> {
        let place = path.display().to_string();
        let fix = "take `[wasi]` and `[os]` from `wave policy gen MODULE`";
        let values = &loaded.values;
        let (Some(os), Some(functions)) = (&values.os, &values.functions) else {
            let what = "the system calls of a module are known from `[os]` and `wasi.functions`, and one is missing";
            return Err(Failure::refused(what).at(place).fix(fix));
        };
        let surface = Surface::from_imports(functions.iter().map(|name| ("wasi_snapshot_preview1", name)));
        let growable = os.rows.contains_key("os.always.mprotect_grow");
        if let Some((_, what)) = os.difference(&Derived::of(&surface, growable, os.resolver)) {
            let what = format!("`[os]` is not what follows from `wasi.functions`: {what}");
            return Err(Failure::refused(what).at(place).fix(fix));
        }
        // What the module cannot use, a run does not give it.
        let uses = |needs: &[Need]| surface.functions().any(|function| needs.contains(&function.need));
        let directories = if uses(&[Need::Grant, Need::WritableGrant]) { &values.fs[..] } else { &[] };
        let listeners = values.listen.clone().filter(|_| surface.contains("sock_accept")).unwrap_or_default();
        let grant =
            |dir: &wave_policy::file::Directory| FilesystemGrant { host: (&dir.host).into(), access: dir.access };
        let policy = Policy {
            level: values.sandbox.unwrap_or_default(),
            grants: directories.iter().map(grant).collect(),
            resolver: os.resolver,
            listeners,
            surface,
            ..Policy::default()
        };
        Ok(Self { policy, growable })
    }
}

const OCI_NOTE: &str = "\
wave: note: this is the filter after the seal: what the program can do, not what starting `wave` or a container takes (a runtime \
loads it before execve, which it refuses)\n  \
left out: where a call comes from; the address and length of memory that grows, so mprotect is held to PROT_READ|PROT_WRITE alone\n";

/// `linux.seccomp` of the OCI runtime specification, version 1.0.2.
fn oci(policy: &Policy, growable: bool) -> Result<String, Failure> {
    let rules: Vec<&Rule> = policy.rules(growable).collect();
    let is_free = |call: &str| rules.iter().any(|rule| rule.call == call && rule.conditions.is_empty());
    let mut calls: Vec<Value> = rules
        .iter()
        // Beside a rule without conditions one with conditions means nothing.
        .filter(|rule| rule.conditions.is_empty() || !is_free(rule.call))
        .map(|rule| {
            let args: Vec<_> = rule.conditions.iter().filter_map(oci_condition).collect();
            json!({ "names": [rule.call], "action": "SCMP_ACT_ALLOW", "args": args })
        })
        .collect();
    let (call, errno) = SELF_TEST;
    calls.push(json!({ "names": [call], "action": "SCMP_ACT_ERRNO", "errnoRet": errno, "args": [] }));
    let profile = json!({
        "defaultAction": "SCMP_ACT_KILL_PROCESS",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": calls,
    });
    let text = serde_json::to_string_pretty(&profile)
        .map_err(|error| Failure::refused(format!("cannot write the profile: {error}")))?;
    Ok(text + "\n")
}

/// `None` for an address, which is that of one run.
fn oci_condition(condition: &Condition) -> Option<Value> {
    let (op, value, second) = match condition.test {
        Test::Equal(Operand::Value(value)) => ("SCMP_CMP_EQ", value, 0),
        Test::AtMost(Operand::Value(value)) => ("SCMP_CMP_LE", value, 0),
        Test::Masked { mask, value } => ("SCMP_CMP_MASKED_EQ", mask, value),
        Test::Equal(_) | Test::AtMost(_) => return None,
    };
    Some(json!({ "index": condition.arg, "value": value, "valueTwo": second, "op": op }))
}

/// The program that the kernel gets, one instruction a line.
fn listing(policy: &Policy, growable: bool) -> Result<String, Failure> {
    let ranges = if growable { &[PLACEHOLDER][..] } else { &[] };
    let program = wave_sandbox::filter(&SealPlan { growable: ranges, ..SealPlan::new(policy) })
        .map_err(|error| Failure::refused(format!("cannot make the filter: {error}")))?;
    let mut text = format!(
        "# {} instructions. A run also refuses calls from the addresses of the guest's code under `strict`, and has the place\n\
         # of its own memory where {:#x} and {:#x} stand here.\n",
        program.len(),
        PLACEHOLDER.base,
        PLACEHOLDER.len_bytes
    );
    for ((at, instruction), compared) in program.iter().enumerate().zip(compared_words(&program)) {
        let comment = comment(policy, growable, compared, instruction);
        let gap = if comment.is_empty() { "" } else { "  ; " };
        text += &format!("{}\n", format!("{at:>4}  {:<32}{gap}{comment}", mnemonic(at, instruction)).trim_end());
    }
    Ok(text)
}

/// Which word of the call each instruction finds in the accumulator. Jumps lead forward only, so one pass will do.
fn compared_words(program: &[Instruction]) -> Vec<Option<u32>> {
    let mut words = vec![None; program.len()];
    for (at, instruction) in program.iter().enumerate() {
        let word = if instruction.code == BPF_LOAD { Some(instruction.k) } else { words.get(at).copied().flatten() };
        let next = |skipped: usize| at + 1 + skipped;
        let targets = match instruction.code {
            BPF_RETURN => vec![],
            BPF_JUMP => vec![next(usize::try_from(instruction.k).unwrap_or(program.len()))],
            BPF_JEQ | BPF_JGT | BPF_JGE => vec![next(instruction.jt.into()), next(instruction.jf.into())],
            _ => vec![next(0)],
        };
        for target in targets {
            if let Some(found) = words.get_mut(target) {
                *found = word;
            }
        }
    }
    words
}

// `linux/bpf_common.h`, and what `seccomp(2)` calls its answers.
const BPF_LOAD: u16 = 0x20;
const BPF_AND: u16 = 0x54;
const BPF_JUMP: u16 = 0x05;
const BPF_JEQ: u16 = 0x15;
const BPF_JGT: u16 = 0x25;
const BPF_JGE: u16 = 0x35;
const BPF_RETURN: u16 = 0x06;
const RET_ALLOW: u32 = 0x7fff_0000;
const RET_TRAP: u32 = 0x0003_0000;
const RET_ERRNO: u32 = 0x0005_0000;
const X32_BIT: u32 = 0x4000_0000;

/// Offsets in `struct seccomp_data`; arguments follow, of 8 bytes each.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// As `bpf_dbg` and `tcpdump -d` write it; jumps name the instruction they lead to.
fn mnemonic(at: usize, &Instruction { code, jt, jf, k }: &Instruction) -> String {
    let target = |skipped: u8| at + 1 + usize::from(skipped);
    let jump = |name: &str| format!("{name} #{k:#x}, {}, {}", target(jt), target(jf));
    match code {
        BPF_LOAD => format!("ld [{k}]"),
        BPF_AND => format!("and #{k:#x}"),
        BPF_JUMP => format!("ja {}", u64::from(k) + at as u64 + 1),
        BPF_JEQ => jump("jeq"),
        BPF_JGT => jump("jgt"),
        BPF_JGE => jump("jge"),
        BPF_RETURN => format!("ret #{k:#x}"),
        _ => format!(".word {code:#x}, {jt}, {jf}, {k:#x}"),
    }
}

fn comment(policy: &Policy, growable: bool, compared: Option<u32>, instruction: &Instruction) -> String {
    match (instruction.code, instruction.k) {
        (BPF_LOAD, NUMBER) => "number".to_owned(),
        (BPF_LOAD, ARCHITECTURE) => "architecture".to_owned(),
        (BPF_LOAD, offset @ ARGUMENTS..) => {
            let half = if offset % 8 == 0 { "low" } else { "high" };
            format!("argument {}, {half} half", (offset - ARGUMENTS) / 8)
        }
        (BPF_JEQ, number) if compared == Some(NUMBER) => {
            let name = usize::try_from(number).ok().and_then(wave_sandbox::call_name).unwrap_or("no call");
            let rules: Vec<_> = policy.rules(growable).filter(|rule| rule.call == name).map(|rule| rule.id).collect();
            match rules.as_slice() {
                [] if name == SELF_TEST.0 => format!("{name}: the self-test of the seal"),
                rules => format!("{name}: rule {}", rules.join(", ")),
            }
        }
        (BPF_JEQ, _) if compared == Some(ARCHITECTURE) => "x86-64".to_owned(),
        (BPF_JGE, X32_BIT) if compared == Some(NUMBER) => "x32".to_owned(),
        (BPF_RETURN, RET_ALLOW) => "permit".to_owned(),
        (BPF_RETURN, RET_TRAP) => "refuse: SIGSYS, exit status 159".to_owned(),
        (BPF_RETURN, answer) if answer & 0xffff_0000 == RET_ERRNO => format!("fail with error {}", answer & 0xffff),
        _ => String::new(),
    }
}

/// The ruleset, with the rights by their names in `landlock(7)`.
fn landlock(policy: &Policy) -> String {
    let mut text = "\
# Handled: every right that the kernel knows, so what stands below is all there is. Files and directories from ABI 1; `refer`
# from ABI 2; `truncate` from ABI 3, which `strict` asks for; TCP from ABI 4; signals and abstract sockets from ABI 6. TCP has no
# rule: listening sockets are opened before.
"
    .to_owned();
    if policy.grants.is_empty() {
        text += "# No rule: nothing can be opened.\n";
    }
    for (index, grant) in policy.grants.iter().enumerate() {
        let host = grant.host.display().to_string();
        let rights = grant.access.landlock_rights().join(", ");
        text += &format!("fs[{index}] path_beneath {:?}: {rights}\n", clean(&host));
    }
    text
}
