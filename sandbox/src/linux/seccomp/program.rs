//! From the programs that `seccompiler` compiles for one call each to one program for all calls.

use seccompiler::{BpfProgram, sock_filter};

use crate::linux::bpf::X86_64;
use crate::plan::AddressRange;

/// Numbers with this bit are calls of the x32 ABI, which has the architecture of x86-64. Source: seccomp(2).
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// How many numbers are compared one after the other. More are divided first.
const AT_ONCE: usize = 3;

/// Answers to calls by their architecture, for those of x32, by their origin, with an errno, and then by what `seccompiler` compiled for
/// each number, in their order. A call of another architecture is denied like any other, with a message.
pub(super) fn join(
    calls: &[(i64, BpfProgram)],
    answers: impl Iterator<Item = (i64, i32)>,
    denied_origin: Option<AddressRange>,
) -> BpfProgram {
    let denied = answer(libc::SECCOMP_RET_TRAP);
    let mut program = vec![load(ARCHITECTURE), jump(BPF_JEQ, X86_64, 1, 0), denied.clone()];
    program.extend(denied_origin.map(deny_origin).unwrap_or_default());
    // A number of the x32 ABI equals none in the filter anyway. The test makes that visible.
    program.extend([load(NUMBER), jump(BPF_JGE, X32_BIT, 0, 1), denied]);
    for (call, errno) in answers {
        program.push(jump(BPF_JEQ, number(call), 0, 1));
        program.push(answer(libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()));
    }
    program.extend(by_number(calls));
    program
}

/// The answers to calls, the number of which is loaded. Most calls come to their own comparison after a few others.
fn by_number(calls: &[(i64, BpfProgram)]) -> BpfProgram {
    // `seccompiler` begins with four instructions, up to the one that loads the number, and ends with the answer to other numbers.
    const BEFORE: usize = 4;
    if calls.len() <= AT_ONCE {
        let parts = calls.iter().flat_map(|(_, program)| program.get(BEFORE..program.len() - 1).unwrap_or_default());
        return parts.cloned().chain([answer(libc::SECCOMP_RET_TRAP)]).collect();
    }
    let (below, others) = calls.split_at(calls.len() / 2);
    let first = others.first().map_or(u32::MAX, |(call, _)| number(*call));
    let below = by_number(below);
    // A conditional jump skips 255 instructions at most.
    let mut program = match u8::try_from(below.len()) {
        Ok(len) => vec![jump(BPF_JGE, first, len, 0)],
        Err(_) => {
            let len = u32::try_from(below.len()).unwrap_or(u32::MAX);
            vec![jump(BPF_JGE, first, 0, 1), sock_filter { code: BPF_JA, jt: 0, jf: 0, k: len }]
        }
    };
    program.extend(below);
    program.extend(by_number(others));
    program
}

/// No call has a number past 32 bits. The maximum stands for such a number and equals none.
fn number(call: i64) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

// Offsets in `struct seccomp_data`, little endian.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const POINTER_LOW: u32 = 8;
const POINTER_HIGH: u32 = 12;

// `linux/bpf_common.h`: BPF_LD | BPF_W | BPF_ABS, BPF_RET | BPF_K, and BPF_JMP | … | BPF_K.
const BPF_LOAD: u16 = 0x20;
const BPF_RETURN: u16 = 0x06;
const BPF_JA: u16 = 0x05;
const BPF_JEQ: u16 = 0x15;
const BPF_JGE: u16 = 0x35;

const fn load(offset: u32) -> sock_filter {
    sock_filter { code: BPF_LOAD, jt: 0, jf: 0, k: offset }
}

const fn answer(verdict: u32) -> sock_filter {
    sock_filter { code: BPF_RETURN, jt: 0, jf: 0, k: verdict }
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// Denies a call whose instruction pointer is in the range. The halves of an address are compared one after the other, so
/// there is a test for each part of the range with one upper half.
fn deny_origin(range: AddressRange) -> Vec<sock_filter> {
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
