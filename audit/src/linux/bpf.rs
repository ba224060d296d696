//! A listing of the filter as it is loaded into the kernel, with the rule behind each comparison.

use crate::export::self_test::SELF_TEST;
use wave_engine::Failure;
use wave_policy::Policy;
use wave_sandbox::{GrowableRange, Instruction, SealPlan};

/// Stands for the linear memory of a run, whose address is chosen at each start.
const PLACEHOLDER: GrowableRange = GrowableRange { base: 0x1000_0000, len_bytes: 4 << 30 };

/// Lists the BPF program, one instruction per line.
///
/// # Errors
/// 125 if the filter cannot be built.
pub fn listing(policy: &Policy, growable: bool) -> Result<String, Failure> {
    let ranges = if growable { &[PLACEHOLDER][..] } else { &[] };
    let program = wave_sandbox::filter(&SealPlan { growable: ranges, ..SealPlan::new(policy) })
        .map_err(|error| Failure::refused(format!("cannot build the filter: {error}")))?;
    let mut text = format!(
        "# {} instructions. Under `strict`, a run also refuses calls from the addresses of the guest's code. A run has the\n\
         # address and the size of its own memory in place of {:#x} and {:#x}.\n",
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

/// The word of `struct seccomp_data` that is in the accumulator at each instruction. Jumps only lead forward, so one
/// pass is enough.
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

// Opcodes of `linux/bpf_common.h`, and return values of `seccomp(2)`.
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

/// Offsets in `struct seccomp_data`. Arguments have 8 bytes each.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// An instruction in the notation of `bpf_dbg` and `tcpdump -d`. Jumps name the index of their target.
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
            let name = name_of(number);
            let rules: Vec<_> = policy.rules(growable).filter(|rule| rule.call == name).map(|rule| rule.id).collect();
            match rules.as_slice() {
                [] if name == SELF_TEST.0 => format!("{name}: the self-test of the seal"),
                rules => format!("{name}: rule {}", rules.join(", ")),
            }
        }
        (BPF_JEQ, _) if compared == Some(ARCHITECTURE) => "x86-64".to_owned(),
        (BPF_JGE, X32_BIT) if compared == Some(NUMBER) => "x32".to_owned(),
        (BPF_JGE, number) if compared == Some(NUMBER) => format!("from {} on", name_of(number)),
        (BPF_RETURN, RET_ALLOW) => "permit".to_owned(),
        (BPF_RETURN, RET_TRAP) => "refuse: SIGSYS, exit status 159".to_owned(),
        (BPF_RETURN, answer) if answer & 0xffff_0000 == RET_ERRNO => format!("fail with error {}", answer & 0xffff),
        _ => String::new(),
    }
}

fn name_of(number: u32) -> &'static str {
    usize::try_from(number).ok().and_then(wave_sandbox::call_name).unwrap_or("no call")
}
