//! Instructions that `seccompiler` does not compile.

use seccompiler::{BpfProgram, sock_filter};

use crate::plan::AddressRange;

/// Numbers with this bit are calls of the x32 ABI, which has the architecture of x86-64. Source: seccomp(2).
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// Adds instructions around the architecture check of `seccompiler`: for calls by their origin, for x32, and for calls that fail with an
/// errno. A call of another architecture is denied like any other, with a message.
pub(super) fn add_prologue(
    mut program: BpfProgram,
    answers: impl Iterator<Item = (i64, i32)>,
    denied_origin: Option<AddressRange>,
) -> BpfProgram {
    // The program begins: load arch, compare, kill, load number. Jumps are relative, and none of them crosses the insertions.
    const KILL: usize = 2;
    const LOAD_NUMBER: usize = 3;
    program[KILL] = answer(libc::SECCOMP_RET_TRAP);
    // A number of the x32 ABI equals none in the filter anyway. The test makes that visible.
    let mut number = vec![jump(BPF_JGE, X32_BIT, 0, 1), answer(libc::SECCOMP_RET_TRAP)];
    for (call, errno) in answers {
        // No call has a number past 32 bits. The maximum stands for such a number and equals none.
        number.push(jump(BPF_JEQ, u32::try_from(call).unwrap_or(u32::MAX), 0, 1));
        number.push(answer(libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()));
    }
    program.splice(LOAD_NUMBER + 1..LOAD_NUMBER + 1, number);
    let origin = denied_origin.map(deny_origin).unwrap_or_default();
    program.splice(LOAD_NUMBER..LOAD_NUMBER, origin);
    program
}

// `linux/bpf_common.h`: BPF_LD | BPF_W | BPF_ABS, BPF_RET | BPF_K, and BPF_JMP | … | BPF_K.
const BPF_LOAD: u16 = 0x20;
const BPF_RETURN: u16 = 0x06;
const BPF_JEQ: u16 = 0x15;
const BPF_JGE: u16 = 0x35;

const fn answer(verdict: u32) -> sock_filter {
    sock_filter { code: BPF_RETURN, jt: 0, jf: 0, k: verdict }
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// Denies a call whose instruction pointer is in the range. The halves of an address are compared one after the other, so
/// there is a test for each part of the range with one upper half.
fn deny_origin(range: AddressRange) -> Vec<sock_filter> {
    // Offsets in `struct seccomp_data`, little endian.
    const POINTER_LOW: u32 = 8;
    const POINTER_HIGH: u32 = 12;
    let load = |k| sock_filter { code: BPF_LOAD, jt: 0, jf: 0, k };
    // The pointer is the address after the call, so the address after the range belongs to the range.
    let last = range.start.saturating_add(range.len_bytes);
    let (first, last) = (Halves::of(range.start), Halves::of(last));
    let mut program = Vec::new();
    for high in first.high..=last.high {
        let low = if high == first.high { first.low } else { 0 };
        let past = last.low.checked_add(1).filter(|_| high == last.high);
        program.extend([load(POINTER_HIGH), jump(BPF_JEQ, high, 0, 4), load(POINTER_LOW)]);
        program.push(jump(BPF_JGE, low, 0, 2));
        program.push(past.map_or(jump(BPF_JGE, 0, 0, 0), |past| jump(BPF_JGE, past, 1, 0)));
        program.push(answer(libc::SECCOMP_RET_TRAP));
    }
    program
}

/// The halves of an address: a filter loads one at a time.
#[derive(Clone, Copy)]
struct Halves {
    high: u32,
    low: u32,
}

impl Halves {
    fn of(address: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = address.to_be_bytes();
        Self { high: u32::from_be_bytes([a, b, c, d]), low: u32::from_be_bytes([e, f, g, h]) }
    }
}
