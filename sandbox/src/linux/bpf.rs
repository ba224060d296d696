//! Evaluates a filter program without the kernel.

use std::fmt;

/// `AUDIT_ARCH_X86_64`, the architecture of a call by the 64-bit entry. Source: `linux/audit.h`.
pub(super) const X86_64: u32 = 0xc000_003e;

/// `BPF_MAXINSNS`: the kernel accepts no longer program, and jumps only lead forward.
pub(super) const MAX_INSTRUCTIONS: usize = 4096;

/// One instruction of a filter program, as `struct sock_filter` of `linux/filter.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Instruction {
    /// The operation.
    pub code: u16,
    /// How many instructions a jump skips if its condition holds.
    pub jt: u8,
    /// How many instructions a jump skips if its condition does not hold.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// A system call as a filter sees it: `struct seccomp_data`. Source: seccomp(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemCall {
    /// Its number; 32 bits, although the register has 64.
    pub number: u32,
    /// The architecture of the entry that it came by: `AUDIT_ARCH_*`.
    pub arch: u32,
    /// The address after the instruction that made the call.
    pub instruction_pointer: u64,
    /// The argument registers.
    pub arguments: [u64; 6],
}

impl fmt::Display for SystemCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, arch, instruction_pointer, arguments: [a, b, c, d, e, g] } = self;
        write!(f, "call {number}({a:#x}, {b:#x}, {c:#x}, {d:#x}, {e:#x}, {g:#x}) from {instruction_pointer:#x} ")?;
        write!(f, "by architecture {arch:#x}")
    }
}

impl SystemCall {
    /// A call by the 64-bit entry.
    pub const fn new(number: u32, arguments: [u64; 6]) -> Self {
        Self { number, arch: X86_64, instruction_pointer: 0, arguments }
    }

    /// The word at an offset of `struct seccomp_data`.
    fn word(&self, offset: u32) -> Option<u32> {
        let halves = |value: u64| [value, value >> 32].map(|half| u32::try_from(half & 0xffff_ffff).unwrap_or(0));
        let word = usize::try_from(offset).ok()? / 4;
        match (offset % 4, word) {
            (0, 0) => Some(self.number),
            (0, 1) => Some(self.arch),
            (0, 2 | 3) => halves(self.instruction_pointer).get(word - 2).copied(),
            (0, _) => halves(*self.arguments.get((word - 4) / 2)?).get(word % 2).copied(),
            _ => None,
        }
    }
}

/// What a filter program returns for a call: one of `SECCOMP_RET_*`. `None` if the kernel would not have accepted the
/// program, or no filter of this crate has such an instruction: a load outside of the call, a jump past the end.
///
/// Source: `Documentation/networking/filter.rst`, `kernel/seccomp.c` (`seccomp_check_filter`).
pub fn evaluate(program: &[Instruction], call: &SystemCall) -> Option<u32> {
    let (mut accumulator, mut at) = (0_u32, 0_usize);
    for _ in 0..MAX_INSTRUCTIONS {
        let Instruction { code, jt, jf, k } = *program.get(at)?;
        let branch = |taken: bool| usize::from(if taken { jt } else { jf });
        at += 1;
        match code {
            // BPF_LD | BPF_W | BPF_ABS
            0x20 => accumulator = call.word(k)?,
            // BPF_ALU | BPF_AND | BPF_K
            0x54 => accumulator &= k,
            // BPF_JMP | BPF_JA, then with BPF_K: BPF_JEQ, BPF_JGT, BPF_JGE
            0x05 => at = at.checked_add(usize::try_from(k).ok()?)?,
            0x15 => at += branch(accumulator == k),
            0x25 => at += branch(accumulator > k),
            0x35 => at += branch(accumulator >= k),
            // BPF_RET | BPF_K
            0x06 => return Some(k),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
        Instruction { code, jt, jf, k }
    }

    #[test]
    fn each_word_of_a_call_is_where_the_kernel_has_it() {
        let call = SystemCall {
            number: 1,
            arch: 2,
            instruction_pointer: 0x0000_0004_0000_0003,
            arguments: [0x0000_0006_0000_0005, 7, 8, 9, 10, 0x0000_000c_0000_000b],
        };
        let words: Vec<_> = (0..64).step_by(4).map(|at| call.word(at).expect("inside")).collect();
        assert_eq!(words, [1, 2, 3, 4, 5, 6, 7, 0, 8, 0, 9, 0, 10, 0, 11, 12]);
        for offset in [1, 2, 3, 64, 68, u32::MAX, u32::MAX - 3] {
            assert_eq!(call.word(offset), None, "{offset}");
        }
    }

    #[test]
    fn jumps_go_where_they_should() {
        let program = [
            instruction(0x20, 0, 0, 0),
            instruction(0x54, 0, 0, 0xff),
            instruction(0x15, 0, 1, 7),
            instruction(0x06, 0, 0, 70),
            instruction(0x35, 0, 2, 8),
            instruction(0x05, 0, 0, 1),
            instruction(0x06, 0, 0, 0),
            instruction(0x06, 0, 0, 80),
        ];
        let answer = |number| evaluate(&program, &SystemCall::new(number, [0; 6]));
        assert_eq!(
            [answer(7), answer(0x107), answer(8), answer(200), answer(6)],
            [Some(70), Some(70), Some(80), Some(80), Some(80)]
        );
    }

    #[test]
    fn what_the_kernel_would_refuse_has_no_answer() {
        let call = SystemCall::new(0, [0; 6]);
        assert_eq!(evaluate(&[], &call), None);
        for wrong in [instruction(0x05, 0, 0, u32::MAX), instruction(0x28, 0, 0, 0), instruction(0x20, 0, 0, 64)] {
            assert_eq!(evaluate(&[wrong, instruction(0x06, 0, 0, 0)], &call), None, "{wrong:?}");
        }
    }
}
