//! Bad code, by hand: for each rule code that breaks it, beside code that is nearly the same and does not (T64 to T71).

#![allow(clippy::cast_possible_truncation, reason = "all addresses are below 2 GiB")]

mod support;

use iced_x86::IcedError;
use iced_x86::code_asm::*;
use support::{Bench, CELL, CONTEXT, DESCRIPTOR, FUNCTIONS, MEMORY, Mode, RESULTS, TABLES};
use wave_contract::abi::{FUEL, RESULT_AREA_BYTES};
use wave_contract::context::{
    ARENA, Addressing, ContextLayout, FIRST_MEMORY, FixedAddresses, GlobalSlot, STACK_LIMIT, TABLE_ENTRIES,
};
use wave_contract::image::{CodeRange, TEXT_PADDING};
use wave_contract::libcall::Libcall;
use wave_contract::trap::TrapCode;
use wave_verifier::{Rule, VerifyError, verify};

const MODULE: &str = r#"(module
  (type $unary (func (param i32) (result i32)))
  (type $nothing (func))
  (type $many (func (param i64 i64 i64 i64 i64 i64 i64 i64)))
  (import "host" "call" (func $host (type $unary)))
  (import "host" "variable" (global $imported (mut i64)))
  (memory 1 10)
  (table $long 4 10 funcref)
  (table $other 2 2 funcref)
  (global $constant i64 (i64.const 1))
  (global $variable (mut i64) (i64.const 2))
  (func $subject (type $unary) (local.get 0))
  (func $callee (type $nothing))
  (func $popper (type $many)))"#;

/// Functions of the module.
const SUBJECT: usize = 1;
const CALLEE: usize = 2;
const POPPER: usize = 3;

const MEM: i32 = MEMORY as i32;
const TABLE: i32 = TABLES as i32;
const ENTRY: i32 = TABLE + TABLE_ENTRIES as i32;
const FUNCTION_TABLE: i32 = FUNCTIONS as i32;
const OTHER_TABLE: i32 = TABLE + 0x10_0000;
const CTX: i32 = CONTEXT as i32;

type Assembled = Result<(), IcedError>;

/// A few instructions.
type Step<'a> = &'a dyn Fn(&mut CodeAssembler) -> Assembled;

fn fixed() -> Bench {
    Bench::new(Mode::Fixed, MODULE.as_bytes())
}

fn arg() -> Bench {
    Bench::new(Mode::Arg, MODULE.as_bytes())
}

/// Code that is followed by a return.
#[track_caller]
fn accepts(bench: &Bench, what: &str, code: impl FnOnce(&mut CodeAssembler) -> Assembled) {
    bench.accepts(what, bench.with(SUBJECT, |a| code(a).and_then(|()| a.ret())));
}

#[track_caller]
fn refuses(bench: &Bench, rule: Rule, what: &str, code: impl FnOnce(&mut CodeAssembler) -> Assembled) {
    bench.refuses(rule, what, bench.with(SUBJECT, |a| code(a).and_then(|()| a.ret())));
}

/// Code in the middle of bytes that are given: an instruction of which an assembler knows nothing.
#[track_caller]
fn refuses_bytes(bench: &Bench, rule: Rule, what: &str, bytes: &[u8]) {
    bench.refuses(rule, what, bench.with_bytes(SUBJECT, &[bytes, &[0xc3]].concat()));
}

fn layout(bench: &Bench) -> ContextLayout {
    ContextLayout::new(&bench.info).expect("a small module")
}

/// Offset of a global's cell in the context.
fn cell(bench: &Bench, global: u32) -> i32 {
    let GlobalSlot::Cell(cell) = layout(bench).global(global) else { panic!("it is imported") };
    cell as i32
}

/// T64: a 64-bit index is one of 32 bits once its upper half was found to be zero, or is left out; the check alone says nothing.
#[test]
fn t64_an_index_of_64_bits_is_narrowed() {
    for (mode, bench) in [(Mode::Fixed, fixed()), (Mode::Arg, arg())] {
        accepts(&bench, "the lower half, zero-extended", |a| {
            let mut outside = a.create_label();
            a.mov(rax, rsi)?;
            a.shr(rax, 32)?;
            a.test(rax, rax)?;
            a.jne(outside)?;
            a.mov(eax, esi)?;
            load(a, mode)?;
            a.ret()?;
            a.set_label(&mut outside)?;
            a.ud2()
        });
        refuses(&bench, Rule::Memory, "all of it, compared with 2^32", |a| {
            let mut outside = a.create_label();
            a.mov(rax, rsi)?;
            a.shr(rax, 32)?;
            a.test(rax, rax)?;
            a.jne(outside)?;
            a.mov(rax, rsi)?;
            load(a, mode)?;
            a.ret()?;
            a.set_label(&mut outside)?;
            a.ud2()
        });
        refuses(&bench, Rule::Memory, "the lower half after 64 bits were added", |a| {
            a.mov(eax, esi)?;
            a.add(rax, rsi)?;
            load(a, mode)
        });
        refuses(&bench, Rule::Memory, "its upper half shifted by too little", |a| {
            a.mov(rax, rsi)?;
            a.shr(rax, 31)?;
            load(a, mode)
        });
    }
}

/// Reads linear memory at RAX.
fn load(a: &mut CodeAssembler, mode: Mode) -> Assembled {
    match mode {
        Mode::Fixed => a.mov(ecx, dword_ptr(rax + MEM)),
        Mode::Arg => {
            a.mov(rdx, qword_ptr(rdi + FIRST_MEMORY as i32))?;
            a.mov(ecx, dword_ptr(rdx + rax))
        }
    }
}

/// T64: what is added to the base of a memory is a number of 32 bits, zero-extended.
#[test]
fn t64_an_index_has_32_bits() {
    let bench = fixed();
    accepts(&bench, "zero-extended", |a| {
        a.mov(eax, edi)?;
        a.mov(eax, dword_ptr(rax + MEM))
    });
    refuses(&bench, Rule::Memory, "not extended", |a| a.mov(eax, dword_ptr(rdi + MEM)));
    refuses(&bench, Rule::Memory, "a copy of all bits", |a| {
        a.mov(rax, rdi)?;
        a.mov(eax, dword_ptr(rax + MEM))
    });
    refuses(&bench, Rule::Memory, "sign-extended", |a| {
        a.movsxd(rax, edi)?;
        a.mov(eax, dword_ptr(rax + MEM))
    });
    accepts(&bench, "four times a byte", |a| {
        a.movzx(eax, dil)?;
        a.mov(eax, dword_ptr(rax * 4 + MEM))
    });
    refuses(&bench, Rule::Memory, "four times an index", |a| {
        a.mov(eax, edi)?;
        a.mov(eax, dword_ptr(rax * 4 + MEM))
    });
    accepts(&bench, "the sum of two in 32 bits", |a| {
        a.mov(eax, edi)?;
        a.add(eax, esi)?;
        a.mov(eax, dword_ptr(rax + MEM))
    });
    refuses(&bench, Rule::Memory, "the sum of two in 64 bits", |a| {
        a.mov(eax, edi)?;
        a.mov(ecx, esi)?;
        a.mov(eax, dword_ptr(rax + rcx + MEM))
    });
    accepts(&bench, "narrow results leave what is above them, which is zero", |a| {
        a.mov(eax, edi)?;
        a.mov(al, sil)?;
        a.mov(eax, dword_ptr(rax + MEM))
    });
    refuses(&bench, Rule::Memory, "narrow results leave what is above them, which is anything", |a| {
        a.mov(rax, rdi)?;
        a.mov(al, sil)?;
        a.mov(eax, dword_ptr(rax + MEM))
    });
    refuses(&bench, Rule::Memory, "R8 by its lowest byte, where R12 is meant to change", |a| {
        a.mov(r8d, edi)?;
        a.mov(r8, rdi)?;
        a.mov(r12b, 1)?;
        a.mov(eax, dword_ptr(r8 + MEM))
    });
    refuses(&bench, Rule::Memory, "extended on one of two paths", |a| {
        let mut joined = a.create_label();
        a.mov(rax, rdi)?;
        a.test(esi, esi)?;
        a.je(joined)?;
        a.mov(eax, edi)?;
        a.set_label(&mut joined)?;
        a.mov(eax, dword_ptr(rax + MEM))
    });
    accepts(&bench, "extended on both", |a| {
        let mut joined = a.create_label();
        a.mov(eax, edi)?;
        a.test(esi, esi)?;
        a.je(joined)?;
        a.mov(eax, esi)?;
        a.set_label(&mut joined)?;
        a.mov(eax, dword_ptr(rax + MEM))
    });
    refuses(&bench, Rule::Memory, "extended before a loop that counts up in 64 bits", |a| {
        let mut again = a.create_label();
        a.mov(eax, edi)?;
        a.set_label(&mut again)?;
        a.mov(ecx, dword_ptr(rax + MEM))?;
        a.add(rax, 16)?;
        a.test(ecx, ecx)?;
        a.jne(again)
    });
    accepts(&bench, "a loop that counts up in 32 bits", |a| {
        let mut again = a.create_label();
        a.mov(eax, edi)?;
        a.set_label(&mut again)?;
        a.mov(ecx, dword_ptr(rax + MEM))?;
        a.add(eax, 16)?;
        a.test(ecx, ecx)?;
        a.jne(again)
    });
}

/// T65: bases, displacements and absolute addresses.
#[test]
fn t65_an_access_stays_in_its_object() {
    let bench = fixed();
    accepts(&bench, "the largest displacement", |a| {
        a.mov(eax, edi)?;
        a.mov(eax, dword_ptr(rax + i32::MAX))
    });
    refuses(&bench, Rule::Memory, "below the base", |a| {
        a.mov(eax, edi)?;
        a.mov(eax, dword_ptr(rax + (MEM - 1)))
    });
    let beyond = |by: u64| {
        move |a: &mut CodeAssembler| {
            a.mov(eax, edi)?;
            a.mov(rcx, MEMORY + by)?;
            a.mov(eax, dword_ptr(rax + rcx))
        }
    };
    // 8 GiB and 64 KiB are reserved.
    accepts(&bench, "the last offset", beyond(u32::MAX.into()));
    accepts(&bench, "the end of the guard", beyond((4 << 30) + (64 << 10) + 1 - 4));
    refuses(&bench, Rule::Memory, "beyond the guard", beyond((4 << 30) + (64 << 10) + 2 - 4));
    accepts(&bench, "16 bytes at its end", |a| {
        a.mov(eax, edi)?;
        a.mov(rcx, MEMORY + (4 << 30) + (64 << 10) + 1 - 16)?;
        a.vmovups(xmm0, xmmword_ptr(rax + rcx))
    });
    refuses(&bench, Rule::Memory, "16 bytes beyond it", |a| {
        a.mov(eax, edi)?;
        a.mov(rcx, MEMORY + (4 << 30) + (64 << 10) + 2 - 16)?;
        a.vmovups(xmm0, xmmword_ptr(rax + rcx))
    });
    refuses(&bench, Rule::Memory, "a wrong base", |a| {
        a.mov(eax, edi)?;
        a.mov(eax, dword_ptr(rax + CTX))
    });
    refuses(&bench, Rule::Memory, "an absolute address", |a| a.mov(dword_ptr(0x1000_u64), ecx));
    refuses(&bench, Rule::Memory, "a store relative to the instruction", |a| {
        let mut here = a.create_label();
        a.set_label(&mut here)?;
        a.mov(dword_ptr(here), eax)
    });
    accepts(&bench, "a load relative to the instruction", |a| {
        let mut here = a.create_label();
        a.set_label(&mut here)?;
        a.mov(eax, dword_ptr(here))
    });
    refuses(&bench, Rule::Memory, "a load behind the function", |a| {
        let mut end = a.create_label();
        a.mov(rax, qword_ptr(end))?;
        a.ret()?;
        a.set_label(&mut end)?;
        a.nop_3()
    });
    refuses_bytes(&bench, Rule::Encoding, "another segment", &[0x65, 0x8b, 0x07]);
    refuses_bytes(&bench, Rule::Encoding, "a constant address of 32 bits", &[0x67, 0x8b, 0x0c, 0x25, 0, 0, 0, 0x40]);
    refuses_bytes(&bench, Rule::Encoding, "an address of 32 bits", &[0x67, 0x8b, 0x87, 0, 0, 0, 0x40]);
}

trait Nop {
    fn nop_3(&mut self) -> Assembled;
}

impl Nop for CodeAssembler {
    fn nop_3(&mut self) -> Assembled {
        self.db(&[0x0f, 0x1f, 0x00])
    }
}

/// T65, T67: what the runtime alone may write.
#[test]
fn t65_constants_of_the_context_are_read_only() {
    let bench = fixed();
    let (constant, variable) = (CTX + cell(&bench, 1), CTX + cell(&bench, 2));
    let at = |address: i32| qword_ptr(address as u64);
    accepts(&bench, "a global", |a| {
        a.mov(rcx, at(constant))?;
        a.mov(at(variable), rdi)?;
        a.mov(at(CELL as i32), rdi)
    });
    refuses(&bench, Rule::Memory, "a constant global", |a| a.mov(at(constant), rdi));
    refuses(&bench, Rule::Memory, "past a global", |a| a.vmovups(xmmword_ptr((variable + 8) as u64), xmm0));
    accepts(&bench, "a whole global", |a| a.vmovups(xmmword_ptr(variable as u64), xmm0));
    accepts(&bench, "the lengths of memory and table", |a| {
        a.mov(rcx, at(DESCRIPTOR as i32))?;
        a.mov(ecx, dword_ptr(TABLE as u64))
    });
    refuses(&bench, Rule::Memory, "the length of memory", |a| a.mov(at(DESCRIPTOR as i32), rdi));
    refuses(&bench, Rule::Memory, "the length of a table", |a| a.mov(dword_ptr(TABLE as u64), edi));
    refuses(&bench, Rule::Memory, "the stack limit", |a| a.mov(at(CTX + STACK_LIMIT as i32), rdi));
    refuses(&bench, Rule::Memory, "the runtime's own pointer", |a| a.mov(rcx, at(CTX)));
    refuses(&bench, Rule::Memory, "a part of a field", |a| a.mov(ecx, dword_ptr((CTX + STACK_LIMIT as i32) as u64)));
    refuses(&bench, Rule::Memory, "an entry of a table", |a| a.mov(at(ENTRY), rdi));
    accepts(&bench, "results", |a| a.mov(at(RESULTS as i32), rdi));
    let counter = (RESULTS as u32 + FUEL) as i32;
    accepts(&bench, "the fuel counter", |a| {
        let mut enough = a.create_label();
        a.mov(ecx, 7)?;
        a.add(rcx, at(counter))?;
        a.jae(enough)?;
        a.ud2()?;
        a.set_label(&mut enough)?;
        a.mov(at(counter), rcx)
    });
    let behind = (RESULTS as u32 + RESULT_AREA_BYTES) as i32;
    accepts(&bench, "the end of its slot", |a| a.mov(at(behind - 8), rdi));
    refuses(&bench, Rule::Memory, "what is behind its slot", |a| a.mov(at(behind - 7), rdi));
    refuses(&bench, Rule::Leak, "an address in the fuel counter", |a| a.mov(at(counter), rsp));
    let libcall = CTX + layout(&bench).libcall(Libcall::MemoryGrow) as i32;
    refuses(&bench, Rule::Memory, "a library call", |a| a.mov(at(libcall), rdi));
    refuses(&bench, Rule::Leak, "its address, where the program can read it", |a| {
        a.mov(rcx, at(libcall))?;
        a.mov(at(RESULTS as i32), rcx)
    });
    refuses(&bench, Rule::Leak, "the stack, where the program can read it", |a| {
        a.mov(eax, edi)?;
        a.mov(qword_ptr(rax + MEM), rsp)
    });
    refuses(&bench, Rule::Leak, "the stack, in a vector register", |a| a.vmovq(xmm0, rsp));
}

/// T66, T69: what has no place in code, known or not.
#[test]
fn t66_t69_only_listed_instructions() {
    let bench = fixed();
    let forbidden: &[(&str, &[u8])] = &[
        ("syscall", &[0x0f, 0x05]),
        ("sysenter", &[0x0f, 0x34]),
        ("sysexit", &[0x0f, 0x35]),
        ("sysret", &[0x48, 0x0f, 0x07]),
        ("int 0x80", &[0xcd, 0x80]),
        ("int3", &[0xcc]),
        ("int1", &[0xf1]),
        ("iretq", &[0x48, 0xcf]),
        ("far call", &[0x48, 0xff, 0x18]),
        ("far jump", &[0x48, 0xff, 0x28]),
        ("far return", &[0xcb]),
        ("hlt", &[0xf4]),
        ("cli", &[0xfa]),
        ("sti", &[0xfb]),
        ("in", &[0xec]),
        ("out", &[0xee]),
        ("insb", &[0x6c]),
        ("outsb", &[0x6e]),
        ("wrmsr", &[0x0f, 0x30]),
        ("rdmsr", &[0x0f, 0x32]),
        ("rdpmc", &[0x0f, 0x33]),
        ("rdtsc", &[0x0f, 0x31]),
        ("rdtscp", &[0x0f, 0x01, 0xf9]),
        ("cpuid", &[0x0f, 0xa2]),
        ("xgetbv", &[0x0f, 0x01, 0xd0]),
        ("xsetbv", &[0x0f, 0x01, 0xd1]),
        ("wrpkru", &[0x0f, 0x01, 0xef]),
        ("rdpkru", &[0x0f, 0x01, 0xee]),
        ("swapgs", &[0x0f, 0x01, 0xf8]),
        ("wrfsbase", &[0xf3, 0x48, 0x0f, 0xae, 0xd7]),
        ("wrgsbase", &[0xf3, 0x48, 0x0f, 0xae, 0xdf]),
        ("rdfsbase", &[0xf3, 0x48, 0x0f, 0xae, 0xc7]),
        ("mov fs", &[0x8e, 0xe7]),
        ("mov cr3", &[0x0f, 0x22, 0xdf]),
        ("mov dr7", &[0x0f, 0x23, 0xff]),
        ("lgdt", &[0x0f, 0x01, 0x17]),
        ("lidt", &[0x0f, 0x01, 0x1f]),
        ("sgdt", &[0x0f, 0x01, 0x07]),
        ("ltr", &[0x0f, 0x00, 0xdf]),
        ("clts", &[0x0f, 0x06]),
        ("invd", &[0x0f, 0x08]),
        ("invlpg", &[0x0f, 0x01, 0x3f]),
        ("vmcall", &[0x0f, 0x01, 0xc1]),
        ("vmmcall", &[0x0f, 0x01, 0xd9]),
        ("enclu", &[0x0f, 0x01, 0xd7]),
        ("getsec", &[0x0f, 0x37]),
        ("rsm", &[0x0f, 0xaa]),
        ("fxrstor", &[0x0f, 0xae, 0x0f]),
        ("xrstor", &[0x0f, 0xae, 0x2f]),
        ("xsave", &[0x0f, 0xae, 0x27]),
        ("ldmxcsr", &[0x0f, 0xae, 0x17]),
        ("stmxcsr", &[0x0f, 0xae, 0x1f]),
        ("fldcw", &[0xd9, 0x2f]),
        ("fld", &[0xd9, 0x07]),
        ("emms", &[0x0f, 0x77]),
        ("movq mm0", &[0x0f, 0x6f, 0x07]),
        ("vzeroupper", &[0xc5, 0xf8, 0x77]),
        ("clflush", &[0x0f, 0xae, 0x3f]),
        ("prefetcht0", &[0x0f, 0x18, 0x0f]),
        ("xbegin", &[0xc7, 0xf8, 0, 0, 0, 0]),
        ("xabort", &[0xc6, 0xf8, 0]),
        ("rdrand", &[0x0f, 0xc7, 0xf0]),
        ("enter", &[0xc8, 0, 0, 0]),
        ("leave", &[0xc9]),
        ("pushfq", &[0x9c]),
        ("popfq", &[0x9d]),
        ("std", &[0xfd]),
        ("movsb", &[0xa4]),
        ("stosq", &[0x48, 0xab]),
        ("lodsb", &[0xac]),
        ("xlat", &[0xd7]),
        ("cmpxchg", &[0x0f, 0xb1, 0x0f]),
        ("xchg", &[0x48, 0x87, 0x07]),
        ("xadd", &[0x0f, 0xc1, 0x07]),
        ("cmpxchg16b", &[0x48, 0x0f, 0xc7, 0x0f]),
        ("movnti", &[0x0f, 0xc3, 0x07]),
        ("maskmovdqu", &[0x66, 0x0f, 0xf7, 0xc1]),
        ("vmaskmovps", &[0xc4, 0xe2, 0x71, 0x2c, 0x07]),
        ("vpmaskmovd store", &[0xc4, 0xe2, 0x71, 0x8e, 0x07]),
        ("vpgatherdd", &[0xc4, 0xe2, 0x69, 0x90, 0x04, 0x0f]),
        ("vgatherqpd", &[0xc4, 0xe2, 0xe9, 0x93, 0x04, 0x0f]),
        ("vfmadd231ps, which the compiler does not use", &[0xc4, 0xe2, 0x71, 0xb8, 0xc2]),
        ("vfmadd213ss, which it does not use either", &[0xc4, 0xe2, 0x71, 0xa9, 0xc2]),
        ("vfmadd213ps ymm", &[0xc4, 0xe2, 0x75, 0xa8, 0xc2]),
        ("vfmaddps of four operands", &[0xc4, 0xe3, 0xf1, 0x68, 0xc2, 0x30]),
        ("vmovups ymm", &[0xc5, 0xfc, 0x10, 0x07]),
        ("vmovups zmm", &[0x62, 0xf1, 0x7c, 0x48, 0x10, 0x07]),
        ("vscatterdps", &[0x62, 0xf2, 0x7d, 0x49, 0xa2, 0x04, 0x07]),
        ("tileloadd", &[0xc4, 0xe2, 0x7b, 0x4b, 0x04, 0x07]),
        ("endbr64", &[0xf3, 0x0f, 0x1e, 0xfa]),
        ("rdsspq", &[0xf3, 0x48, 0x0f, 0x1e, 0xc8]),
        ("umonitor", &[0xf3, 0x0f, 0xae, 0xf7]),
        ("senduipi", &[0xf3, 0x0f, 0xc7, 0xf7]),
        ("ud0", &[0x0f, 0xff, 0xc0]),
        ("ud1", &[0x0f, 0xb9, 0xc0]),
        ("loop", &[0xe2, 0xfe]),
        ("jrcxz", &[0xe3, 0xfe]),
        ("push of a constant", &[0x6a, 0]),
        ("push of a segment", &[0x0f, 0xa0]),
    ];
    for (name, bytes) in forbidden {
        refuses_bytes(&bench, Rule::Instruction, name, bytes);
    }
    accepts(&bench, "fused multiplications and additions", |a| {
        a.vfmadd213ps(xmm0, xmm1, xmm2)?;
        a.vfmadd132pd(xmm0, xmm1, xmm2)?;
        a.vfmsub213pd(xmm0, xmm1, xmm2)?;
        a.vfnmadd213ps(xmm0, xmm1, xmm2)?;
        a.vfnmsub132ps(xmm0, xmm1, xmm2)?;
        a.mov(eax, edi)?;
        a.vfmadd213ps(xmm0, xmm1, xmmword_ptr(rax + MEM))
    });
    refuses(&bench, Rule::Memory, "the same with an index of 64 bits", |a| {
        a.vfmadd213ps(xmm0, xmm1, xmmword_ptr(rdi + MEM))
    });
    refuses_bytes(&bench, Rule::Encoding, "lock", &[0xf0, 0x01, 0x04, 0x24]);
    refuses_bytes(&bench, Rule::Encoding, "the second byte of a register", &[0x88, 0xe0]);
    refuses_bytes(&bench, Rule::Boundary, "REX2, of APX", &[0xd5, 0x10, 0x8b, 0xc0]);
    refuses_bytes(&bench, Rule::Boundary, "an opcode that nobody knows", &[0x0f, 0x0a]);
    bench.refuses(Rule::Boundary, "cut off", bench.with_bytes(SUBJECT, &[0x48, 0xb8, 0, 0]));
    bench.refuses(Rule::Boundary, "no end", bench.with_bytes(SUBJECT, &[0x0f, 0x1f, 0x00]));
    refuses(&bench, Rule::Encoding, "a bit of memory by its number", |a| {
        a.mov(eax, edi)?;
        a.bt(dword_ptr(rax + MEM), esi)
    });
    accepts(&bench, "a bit of memory at a constant", |a| a.bt(qword_ptr(MEMORY), 63_i32));
    accepts(&bench, "a bit of a register", |a| a.bt(edi, esi));
    // A function has constants, which can be any bytes.
    bench.accepts("bytes behind the return", bench.with_bytes(SUBJECT, &[0xc3, 0x0f, 0x05]));
}

/// T66: bytes between functions are executable, and no function's. They are the linker's padding.
#[test]
fn t66_padding_is_the_linkers() {
    let bench = fixed();
    let ends = bench.image.functions.iter().chain(bench.image.entries.iter().map(|entry| &entry.code));
    let between: Vec<usize> = ends
        .map(|code| (code.start + code.len) as usize)
        .filter(|end| bench.image.text.get(*end) == Some(&TEXT_PADDING))
        .collect();
    assert!(!between.is_empty(), "no function is followed by padding");
    bench.accepts("the padding of the linker", bench.image.clone());
    for at in between {
        let mut image = bench.image.clone();
        image.text[at] = 0x90;
        bench.refuses(Rule::Metadata, "another byte", image);
    }
    let mut image = bench.image.clone();
    image.text.push(TEXT_PADDING);
    bench.accepts("padding behind the last function", image.clone());
    image.text.extend([0x0f, 0x05]);
    bench.refuses(Rule::Metadata, "code behind the last function", image);
}

/// T68: control stays at the beginnings of instructions, in this function.
#[test]
fn t68_branches_lead_to_instructions() {
    let bench = fixed();
    // test edi, edi; jne to the last byte of `mov eax, 5` (0f 05 would be a system call).
    refuses_bytes(&bench, Rule::Boundary, "into an instruction before", &[0xb8, 0x0f, 0x05, 0, 0, 0x75, 0xfa]);
    refuses_bytes(&bench, Rule::Boundary, "into an instruction behind", &[0x75, 0x01, 0xb8, 0x0f, 0x05, 0, 0]);
    bench.accepts("over it", bench.with_bytes(SUBJECT, &[0x75, 0x05, 0xb8, 0x0f, 0x05, 0, 0, 0xc3]));
    bench.refuses(Rule::Target, "past the end", bench.with_bytes(SUBJECT, &[0x75, 0x01, 0xc3]));
    bench.refuses(Rule::Encoding, "a branch with a prefix", bench.with_bytes(SUBJECT, &[0x66, 0x75, 0x00, 0xc3]));
    refuses_bytes(&bench, Rule::Encoding, "an indirect call with a prefix", &[0x66, 0xff, 0xd0]);
    refuses_bytes(&bench, Rule::Encoding, "an indirect jump with a prefix", &[0x66, 0xff, 0xe0]);
    refuses_bytes(&bench, Rule::Encoding, "two prefixes", &[0x66, 0x66, 0x89, 0xc0]);
    refuses_bytes(&bench, Rule::Encoding, "a prefix behind REX", &[0x48, 0x66, 0x89, 0xc0]);
    bench.accepts("one prefix", bench.with_bytes(SUBJECT, &[0x66, 0x89, 0xc0, 0xc3]));
    let callee = bench.function(CALLEE);
    refuses(&bench, Rule::Target, "to another function if a condition holds", |a| a.je(callee));
    refuses(&bench, Rule::Target, "to its own entry if a condition holds", |a| {
        let mut start = a.create_label();
        a.set_label(&mut start)?;
        a.test(edi, edi)?;
        a.je(start)
    });
    bench.accepts("a tail call", bench.with(SUBJECT, |a| a.jmp(callee)));
    bench.refuses(Rule::Target, "into another function", bench.with(SUBJECT, |a| a.jmp(callee + 1)));
    bench.refuses(Rule::Target, "to where nothing is", bench.with(SUBJECT, |a| a.jmp(0x10_0000_u64)));
    bench.refuses(
        Rule::Return,
        "a tail call with something left on the stack",
        bench.with(SUBJECT, |a| {
            a.push(rax)?;
            a.jmp(callee)
        }),
    );
}

/// T68: return address, the caller's frame and registers.
#[test]
fn t68_returns_go_back() {
    let bench = fixed();
    accepts(&bench, "a frame", |a| {
        a.push(rbp)?;
        a.mov(rbp, rsp)?;
        a.sub(rsp, 16)?;
        a.mov(qword_ptr(rsp), rdi)?;
        a.mov(eax, dword_ptr(rbp - 16))?;
        a.mov(rsp, rbp)?;
        a.pop(rbp)
    });
    refuses(&bench, Rule::Return, "the return address is written", |a| a.mov(qword_ptr(rsp), rdi));
    refuses(&bench, Rule::Return, "half of it is", |a| a.mov(dword_ptr(rsp + 4), edi));
    refuses(&bench, Rule::Return, "something else lies on top", |a| a.push(rdi));
    refuses(&bench, Rule::Target, "it is taken away", |a| {
        a.pop(rax)?;
        a.jmp(rax)
    });
    refuses(&bench, Rule::Frame, "the caller's frame is read", |a| a.mov(rax, qword_ptr(rsp + 8)));
    refuses(&bench, Rule::Frame, "the caller's frame is written", |a| a.mov(qword_ptr(rsp + 8), rax));
    refuses(&bench, Rule::Frame, "below the stack pointer", |a| a.mov(qword_ptr(rsp - 8), rax));
    refuses(&bench, Rule::Frame, "a stack pointer of one's own", |a| a.mov(rsp, rdi));
    refuses(&bench, Rule::Frame, "by a number of one's own", |a| a.sub(rsp, rdi));
    refuses(&bench, Rule::Frame, "aligned to who knows where", |a| a.and(rsp, -32));
    refuses(&bench, Rule::Return, "with arguments that it did not get", |a| a.ret_1(16));
    for (name, register) in [("rbx", rbx), ("rbp", rbp), ("r12", r12), ("r13", r13), ("r14", r14), ("r15", r15)] {
        refuses(&bench, Rule::Return, name, |a| a.mov(register, rdi));
        refuses(&bench, Rule::Return, "its lower half", |a| {
            a.mov(register, register).and_then(|()| a.add(register, 0)).and_then(|()| a.xor(register, rdi))
        });
        accepts(&bench, name, |a| {
            a.push(register)?;
            a.mov(register, rdi)?;
            a.pop(register)
        });
    }
    refuses(&bench, Rule::Return, "the registers of the caller in another order", |a| {
        a.push(rbx)?;
        a.push(r12)?;
        a.pop(rbx)?;
        a.pop(r12)
    });
    // Two of eight arguments lie on the stack; who is called takes them away.
    let popper = |code: fn(&mut CodeAssembler) -> Assembled| bench.with(POPPER, code);
    bench.accepts(
        "its arguments",
        popper(|a| {
            a.mov(rax, qword_ptr(rsp + 16))?;
            a.ret_1(16)
        }),
    );
    bench.refuses(Rule::Return, "too little", popper(|a| a.ret()));
    bench.refuses(Rule::Return, "too much", popper(|a| a.ret_1(32)));
    bench.refuses(
        Rule::Frame,
        "past its arguments",
        popper(|a| {
            a.mov(rax, qword_ptr(rsp + 24))?;
            a.ret_1(16)
        }),
    );
}

/// T68, T55: no step over the guard of the stack.
#[test]
fn t68_large_frames_are_touched() {
    let bench = fixed();
    accepts(&bench, "a step of 64 KiB", |a| {
        a.sub(rsp, 0x1_0000)?;
        a.mov(dword_ptr(rsp), 0)?;
        a.add(rsp, 0x1_0000)
    });
    refuses(&bench, Rule::Probe, "a larger one", |a| {
        a.sub(rsp, 0x1_0010)?;
        a.add(rsp, 0x1_0010)
    });
    refuses(&bench, Rule::Probe, "two, of which none is touched", |a| {
        a.sub(rsp, 0x1_0000)?;
        a.sub(rsp, 0x1_0000)?;
        a.add(rsp, 0x2_0000)
    });
    accepts(&bench, "two, each of them touched", |a| {
        a.sub(rsp, 0x1_0000)?;
        a.mov(dword_ptr(rsp), 0)?;
        a.sub(rsp, 0x1_0000)?;
        a.mov(dword_ptr(rsp), 0)?;
        a.add(rsp, 0x2_0000)
    });
    let probed = |whole: i32, step: i32, at: i32| {
        move |a: &mut CodeAssembler| {
            let mut again = a.create_label();
            a.mov(r11, rsp)?;
            a.sub(r11, whole)?;
            a.set_label(&mut again)?;
            a.sub(rsp, step)?;
            a.mov(dword_ptr(rsp + at), 0)?;
            a.cmp(rsp, r11)?;
            a.jne(again)?;
            a.add(rsp, whole)
        }
    };
    accepts(&bench, "a loop", probed(0x10_0000, 0x1_0000, 0));
    refuses(&bench, Rule::Probe, "a loop with large steps", probed(0x10_0000, 0x2_0000, 0));
    refuses(&bench, Rule::Frame, "a loop that goes past its end", probed(0x10_0000, 0xf000, 0));
    refuses(&bench, Rule::Frame, "a loop that touches another place", probed(0x10_0000, 0x1_0000, 8));
    // Some processors jump elsewhere after this prefix.
    let by_hand = |prefix: &[u8]| {
        let head: &[u8] = &[0x49, 0x89, 0xe3, 0x49, 0x81, 0xeb, 0, 0, 0x10, 0];
        let step: &[u8] = &[0x48, 0x81, 0xec, 0, 0, 1, 0, 0xc7, 0x04, 0x24, 0, 0, 0, 0, 0x4c, 0x39, 0xdc];
        let back = [0x75, (step.len() + prefix.len() + 2).wrapping_neg().to_le_bytes()[0]];
        bench.with_bytes(SUBJECT, &[head, step, prefix, &back, &[0x48, 0x81, 0xc4, 0, 0, 0x10, 0, 0xc3]].concat())
    };
    bench.accepts("the loop by hand", by_hand(&[]));
    bench.refuses(Rule::Encoding, "a prefix in the loop", by_hand(&[0x66]));
}

/// What an indirect call through table 0 takes.
fn through_table(a: &mut CodeAssembler, change: impl Fn(&str) -> bool, signature: u32) -> Assembled {
    through_table_at(a, TABLE, change, signature)
}

/// What an indirect call through a table takes.
fn through_table_at(a: &mut CodeAssembler, table: i32, change: impl Fn(&str) -> bool, signature: u32) -> Assembled {
    let entry = table + TABLE_ENTRIES as i32;
    let mut trap = a.create_label();
    let kept = |step: &str| !change(step);
    a.sub(rsp, 8)?;
    a.mov(eax, if kept("its own length") { table } else { OTHER_TABLE })?;
    a.mov(eax, dword_ptr(rax))?;
    if kept("the comparison with the length") {
        a.cmp(edi, eax)?;
        if kept("the right condition") { a.jae(trap)? } else { a.ja(trap)? }
    }
    a.xor(ecx, ecx)?;
    a.cmp(edi, eax)?;
    if kept("the guard against speculation") {
        a.cmovae(edi, ecx)?;
    }
    a.mov(eax, edi)?;
    if kept("the size of an entry") {
        a.shl(rax, 4)?
    } else {
        a.shl(rax, 3)?
    }
    if kept("the comparison of the signature") {
        let field = if kept("the field of the signature") { 8 } else { 12 };
        a.cmp(dword_ptr(rax + (entry + field)), signature as i32)?;
        if kept("the outcome") { a.jne(trap)? } else { a.je(trap)? }
    }
    if kept("the same entry") {
        a.call(qword_ptr(rax + entry))?;
    } else {
        a.call(qword_ptr(rax + (entry + 16)))?;
    }
    a.add(rsp, 8)?;
    a.ret()?;
    a.set_label(&mut trap)?;
    a.ud2()
}

/// T68: the stack pointer is moved by constants, or to where another register points; by nothing else.
#[test]
fn t68_the_stack_pointer_has_few_writers() {
    let bench = fixed();
    let with = |write: Step| {
        bench.with(SUBJECT, |a| {
            a.push(rbp)?;
            a.mov(rbp, rsp)?;
            a.sub(rsp, 32)?;
            a.mov(eax, 8)?;
            a.mov(qword_ptr(rbp - 8), rbp)?;
            a.mov(rcx, rbp)?;
            write(a)?;
            a.mov(rsp, rbp)?;
            a.pop(rbp)?;
            a.ret()
        })
    };
    let good: [(&str, Step); 6] = [
        ("add", &|a| a.add(rsp, 8)),
        ("sub", &|a| a.sub(rsp, 0x100)),
        ("lea", &|a| a.lea(rsp, qword_ptr(rsp - 8))),
        ("lea of another register", &|a| a.lea(rsp, qword_ptr(rbp - 16))),
        ("mov", &|a| a.mov(rsp, rcx)),
        ("push and pop", &|a| a.push(rax).and_then(|()| a.pop(rcx))),
    ];
    for (what, write) in good {
        bench.accepts(what, with(write));
    }
    let bad: [(&str, Step); 15] = [
        ("mov from the frame", &|a| a.mov(rsp, qword_ptr(rbp - 8))),
        ("pop", &|a| a.lea(rsp, qword_ptr(rbp - 8)).and_then(|()| a.pop(rsp))),
        ("add of a register", &|a| a.add(rsp, rax)),
        ("add of a word", &|a| a.add(rsp, qword_ptr(rbp - 8))),
        ("sub of a register", &|a| a.sub(rsp, rax)),
        ("lea of a sum", &|a| a.lea(rsp, qword_ptr(rsp + rax))),
        ("and", &|a| a.and(rsp, -16)),
        ("or", &|a| a.or(rsp, 0)),
        ("xor", &|a| a.xor(rsp, 0)),
        ("a conditional move", &|a| a.cmp(eax, 8).and_then(|()| a.cmove(rsp, rcx))),
        ("32 bits", &|a| a.mov(esp, ecx)),
        ("16 bits", &|a| a.mov(sp, cx)),
        ("8 bits", &|a| a.mov(spl, cl)),
        ("a bit", &|a| a.cmp(eax, 8).and_then(|()| a.sete(spl))),
        ("a vector", &|a| a.vmovq(rsp, xmm0)),
    ];
    for (what, write) in bad {
        bench.refuses(Rule::Frame, what, with(write));
    }
}

/// T68: what lies below the stack pointer belongs to whoever is called next. Nothing that was known of it, or that was a
/// copy of it, is known afterwards.
#[test]
fn t68_nothing_is_known_below_the_stack_pointer() {
    for bench in [fixed(), arg()] {
        let libcall = layout(&bench).libcall(Libcall::DataDrop) as i32;
        let (is_fixed, context) = (bench.terms.addressing.fixed().is_some(), CONTEXT as i32);
        let field = |at: i32| if is_fixed { qword_ptr((context + at) as u64) } else { qword_ptr(rdi + at) };
        // RBX minus what is read from where RBX was copied from: zero, if that is still there. A word is lost by `lose`.
        let difference = |lose: Step, word: i32| {
            bench.with(SUBJECT, |a| {
                let mut trap = a.create_label();
                a.sub(rsp, 72)?;
                a.mov(qword_ptr(rsp + 64), rbx)?;
                a.cmp(rsp, field(STACK_LIMIT as i32))?;
                a.jb(trap)?;
                a.lea(rax, qword_ptr(rsp + 32))?;
                a.mov(qword_ptr(rsp + word), rax)?;
                lose(a)?;
                if is_fixed {
                    a.mov(edi, context)?;
                }
                a.xor(esi, esi)?;
                a.call(field(libcall))?;
                a.test(rdx, rdx)?;
                a.jne(trap)?;
                a.sub(rsp, 32)?;
                a.mov(rcx, qword_ptr(rsp + word))?;
                a.xor(rbx, rcx)?;
                a.mov(rax, qword_ptr(rsp + rbx + 8))?;
                a.mov(rbx, qword_ptr(rsp + 64))?;
                a.add(rsp, 72)?;
                a.ret()?;
                a.set_label(&mut trap)?;
                a.ud2()
            })
        };
        let by_copy: Step = &|a| a.mov(rbx, rax).and_then(|()| a.mov(rsp, rax));
        bench.accepts("a word above the stack pointer", difference(by_copy, 48));
        let lost: [(&str, Step, Rule); 6] = [
            (
                "the stack pointer is loaded from it",
                &|a| a.mov(rsp, qword_ptr(rsp + 24)).and_then(|()| a.mov(rbx, rsp)),
                Rule::Frame,
            ),
            ("the stack pointer goes to a copy of it", by_copy, Rule::Memory),
            ("a copy made afterwards", &|a| a.mov(rsp, rax).and_then(|()| a.mov(rbx, rax)), Rule::Memory),
            ("a copy of the stack pointer", &|a| a.mov(rsp, rax).and_then(|()| a.mov(rbx, rsp)), Rule::Memory),
            ("by `add`", &|a| a.mov(rbx, rax).and_then(|()| a.add(rsp, 32)), Rule::Memory),
            ("by `lea`", &|a| a.mov(rbx, rax).and_then(|()| a.lea(rsp, qword_ptr(rax))), Rule::Memory),
        ];
        for (what, lose, rule) in lost {
            bench.refuses(rule, what, difference(lose, 24));
        }
        // Half of it is below.
        bench.refuses(Rule::Memory, "a word across the stack pointer", difference(by_copy, 28));
    }
}

/// T67: an index below the length, and the signature of that entry.
#[test]
fn t67_calls_through_tables_are_checked() {
    let bench = fixed();
    let nothing = bench.signature(1).0;
    let call =
        |dropped: &'static str, signature| bench.with(SUBJECT, |a| through_table(a, |step| step == dropped, signature));
    bench.accepts("all steps", call("", nothing));
    for (step, rule) in [
        ("the right condition", Rule::Memory),
        ("its own length", Rule::Memory),
        ("the size of an entry", Rule::Memory),
        ("the comparison of the signature", Rule::Signature),
        ("the field of the signature", Rule::Signature),
        ("the outcome", Rule::Signature),
        ("the same entry", Rule::Memory),
    ] {
        bench.refuses(rule, step, call(step, nothing));
    }
    // What a processor does on a path that it takes by mistake is not looked at.
    bench.accepts("without a guard against speculation", call("the guard against speculation", nothing));
    bench.refuses(Rule::Memory, "with that alone", call("the comparison with the length", nothing));
    bench.refuses(Rule::Target, "a signature that no type has", call("", 77));
    bench.refuses(Rule::Target, "the null entry", call("", 0));
}

/// T67: a call by reference is a call through the function table, whose entries have the ids of shapes. An entry of a table of
/// the module never has one of them, so that nobody relies on what an id means in another table.
#[test]
fn t67_calls_by_reference_are_checked() {
    let typed = MODULE
        .replace("(type $nothing (func))", "(type $nothing (func (result funcref)))")
        .replace("(func $callee (type $nothing))", "(func $callee (type $nothing) (ref.null func))");
    for (module, same) in [(MODULE, true), (&*typed, false)] {
        let bench = Bench::new(Mode::Fixed, module.as_bytes());
        let ids = bench.terms.signatures[1];
        assert_eq!(ids.exact == ids.shape, same, "{ids:?}");
        let call = |dropped: &'static str, signature: u32| {
            bench.with(SUBJECT, |a| through_table_at(a, FUNCTION_TABLE, |step| step == dropped, signature))
        };
        bench.accepts("all steps", call("", ids.shape.0));
        for (step, rule) in [
            ("the right condition", Rule::Memory),
            ("its own length", Rule::Memory),
            ("the size of an entry", Rule::Memory),
            ("the comparison of the signature", Rule::Signature),
            ("the field of the signature", Rule::Signature),
            ("the outcome", Rule::Signature),
            ("the same entry", Rule::Memory),
        ] {
            bench.refuses(rule, step, call(step, ids.shape.0));
        }
        bench.refuses(Rule::Target, "a shape that no type has", call("", 77));
        bench.refuses(Rule::Target, "the null entry", call("", 0));
    }
}

/// T67: of the function table, code may read entry 0 and those below its length, and write nothing.
#[test]
fn t67_the_function_table_is_read_only() {
    for bench in [fixed(), arg()] {
        let is_fixed = bench.terms.addressing.fixed().is_some();
        let header = |a: &mut CodeAssembler| match is_fixed {
            true => a.mov(eax, FUNCTION_TABLE),
            false => a.mov(rax, qword_ptr(rdi + layout(&bench).function_table() as i32)),
        };
        let entry = |index: i32| TABLE_ENTRIES as i32 + 16 * index + 8;
        accepts(&bench, "its length", |a| header(a).and_then(|()| a.mov(eax, dword_ptr(rax))));
        accepts(&bench, "entry 0", |a| header(a).and_then(|()| a.mov(eax, dword_ptr(rax + entry(0)))));
        let one = |a: &mut CodeAssembler, compare: bool| {
            let mut trap = a.create_label();
            header(a)?;
            if compare {
                a.cmp(dword_ptr(rax), 1)?;
                a.jbe(trap)?;
            }
            a.mov(eax, dword_ptr(rax + entry(1)))?;
            a.ret()?;
            a.set_label(&mut trap)?;
            a.ud2()
        };
        bench.accepts("entry 1 if there is one", bench.with(SUBJECT, |a| one(a, true)));
        bench.refuses(Rule::TableBound, "entry 1, which may not be there", bench.with(SUBJECT, |a| one(a, false)));
        for (what, at) in [("its length", 0), ("an entry", entry(0))] {
            refuses(&bench, Rule::Memory, what, |a| header(a).and_then(|()| a.mov(dword_ptr(rax + at), ecx)));
        }
    }
}

/// T67: a table of typed function references has entries as one of any functions; no other table has.
#[test]
fn t67_tables_of_functions_have_entries() {
    let table = |ty: &str| MODULE.replace("(table $long 4 10 funcref)", &format!("(table $long 4 10 {ty})"));
    for (ty, has_entries) in [
        ("(ref null $nothing)", true),
        ("nullfuncref", true),
        ("externref", false),
        ("anyref", false),
        ("(ref null i31)", false),
    ] {
        let bench = Bench::new(Mode::Fixed, table(ty).as_bytes());
        let image = bench.with(SUBJECT, |a| {
            a.mov(ecx, dword_ptr((ENTRY + 8) as u64))?;
            a.ret()
        });
        match has_entries {
            true => bench.accepts(ty, image),
            false => drop(bench.refuses(Rule::Memory, ty, image)),
        }
    }
}

/// T67: what a comparison says of a register is true of everything that holds the same, and of nothing else.
#[test]
fn t67_a_bound_holds_for_every_copy() {
    let bench = fixed();
    // `copy` puts RDI, which is also at 8 above the stack pointer, into RSI; `reload` gets RAX from somewhere.
    let through = |copy: Step, reload: Step| {
        bench.with(SUBJECT, |a| {
            let mut trap = a.create_label();
            a.sub(rsp, 24)?;
            a.mov(qword_ptr(rsp + 8), rdi)?;
            a.mov(ecx, dword_ptr(TABLE))?;
            copy(a)?;
            a.cmp(esi, ecx)?;
            a.jae(trap)?;
            reload(a)?;
            a.mov(eax, eax)?;
            a.shl(rax, 4)?;
            a.mov(eax, dword_ptr(rax + (ENTRY + 8)))?;
            a.add(rsp, 24)?;
            a.ret()?;
            a.set_label(&mut trap)?;
            a.ud2()
        })
    };
    let from_word: Step = &|a| a.mov(rsi, qword_ptr(rsp + 8));
    let from_register: Step = &|a| a.mov(rsi, rdi);
    let good: [(&str, Step, Step); 8] = [
        ("the word it was loaded from", from_word, &|a| a.mov(rax, qword_ptr(rsp + 8))),
        ("the register that was stored", from_word, &|a| a.mov(rax, rdi)),
        ("the register it was copied from", from_register, &|a| a.mov(rax, rdi)),
        ("the word that the register was stored to", from_register, &|a| a.mov(rax, qword_ptr(rsp + 8))),
        ("a copy of a copy that is gone", &|a| a.mov(r8, rdi).and_then(|()| a.mov(rsi, r8)), &|a| {
            a.mov(r8, rdx)?;
            a.mov(rax, rdi)
        }),
        (
            "a copy of what is gone",
            &|a| a.mov(rsi, rdi).and_then(|()| a.mov(r8, rdi)).and_then(|()| a.mov(rdi, rdx)),
            &|a| a.mov(rax, r8),
        ),
        ("the word, stored again", from_word, &|a| {
            a.mov(qword_ptr(rsp + 8), rdi)?;
            a.mov(rax, rdi)
        }),
        ("a word beside one that is written", from_word, &|a| {
            a.mov(qword_ptr(rsp + 16), rdx)?;
            a.mov(qword_ptr(rsp), rdx)?;
            a.mov(rax, qword_ptr(rsp + 8))
        }),
    ];
    for (what, copy, reload) in good {
        bench.accepts(what, through(copy, reload));
    }
    let load: Step = &|a| a.mov(rax, qword_ptr(rsp + 8));
    let bad: [(&str, Step, Step); 9] = [
        ("another word", from_word, &|a| {
            a.mov(qword_ptr(rsp + 16), rdx).and_then(|()| a.mov(rax, qword_ptr(rsp + 16)))
        }),
        ("the word is written before", &|a| from_word(a).and_then(|()| a.mov(qword_ptr(rsp + 8), rdx)), load),
        ("the word is written after", from_word, &|a| a.mov(qword_ptr(rsp + 8), rdx).and_then(|()| load(a))),
        ("half of the word is written", &|a| from_word(a).and_then(|()| a.mov(dword_ptr(rsp + 8), edx)), load),
        ("a vector over the word", &|a| from_word(a).and_then(|()| a.movups(xmmword_ptr(rsp + 1), xmm0)), load),
        ("the word is released", from_word, &|a| {
            a.add(rsp, 16)?;
            a.sub(rsp, 16)?;
            load(a)
        }),
        ("the register is written", &|a| from_register(a).and_then(|()| a.mov(rdi, rdx)), &|a| a.mov(rax, rdi)),
        ("the copy is written", &|a| from_register(a).and_then(|()| a.mov(rsi, rdx)), &|a| a.mov(rax, rdi)),
        (
            "a copy on one path only",
            &|a| {
                let (mut other, mut both) = (a.create_label(), a.create_label());
                a.test(edx, edx)?;
                a.je(other)?;
                a.mov(rsi, rdi)?;
                a.jmp(both)?;
                a.set_label(&mut other)?;
                a.mov(rsi, rdx)?;
                a.set_label(&mut both)?;
                a.nop_3()
            },
            &|a| a.mov(rax, rdi),
        ),
    ];
    for (what, copy, reload) in bad {
        bench.refuses(Rule::Memory, what, through(copy, reload));
    }

    // A register minus its copy.
    let zero = |made: Step| {
        bench.with(SUBJECT, |a| {
            made(a)?;
            a.mov(rax, qword_ptr(rax + CTX + cell(&bench, 2)))?;
            a.ret()
        })
    };
    bench.accepts("zero", zero(&|a| a.mov(rax, rdi).and_then(|()| a.xor(eax, edi))));
    bench.refuses(Rule::Memory, "no copy", zero(&|a| a.mov(rax, rdi).and_then(|()| a.xor(eax, edx))));
    bench.refuses(Rule::Memory, "half a copy", zero(&|a| a.mov(eax, edi).and_then(|()| a.xor(rax, rdi))));
}

/// T67: what is called is known.
#[test]
fn t67_calls_of_the_host_are_listed() {
    let bench = fixed();
    let layout = ContextLayout::new(&bench.info).expect("a small module");
    let slot = (CTX as u32 + layout.function(0)) as u64;
    let host = |dropped: &'static str, target: u64| {
        bench.with(SUBJECT, move |a| {
            let kept = |step: &str| step != dropped;
            let mut trap = a.create_label();
            if kept("alignment") {
                a.sub(rsp, 8)?
            } else {
                a.sub(rsp, 16)?
            }
            a.mov(eax, CTX)?;
            if kept("the stack limit") {
                a.cmp(rsp, qword_ptr(rax + STACK_LIMIT as i32))?;
                if kept("its outcome") { a.jb(trap)? } else { a.ja(trap)? }
            }
            a.mov(esi, edi)?;
            if kept("the context") {
                a.mov(edi, CTX)?
            } else {
                a.mov(edi, CTX + 16)?
            }
            a.call(qword_ptr(target))?;
            if kept("the status") {
                if kept("all of its bits") {
                    a.test(rdx, rdx)?
                } else {
                    a.test(edx, edx)?
                }
                a.jne(trap)?;
            }
            if kept("alignment") {
                a.add(rsp, 8)?
            } else {
                a.add(rsp, 16)?
            }
            a.ret()?;
            a.set_label(&mut trap)?;
            a.ud2()
        })
    };
    bench.accepts("all steps", host("", slot));
    for (step, rule) in [
        ("alignment", Rule::Alignment),
        ("the stack limit", Rule::StackLimit),
        ("its outcome", Rule::StackLimit),
        ("the context", Rule::Context),
        ("the status", Rule::Status),
        ("all of its bits", Rule::Status),
    ] {
        bench.refuses(rule, step, host(step, slot));
    }
    bench.refuses(Rule::Target, "past the imports, where a global lies", host("", slot + 16));
    bench.refuses(Rule::Target, "what is no code", host("", CONTEXT + u64::from(STACK_LIMIT)));
    bench.refuses(Rule::Target, "what the program wrote", host("", CELL));
    accepts(&bench, "another function", |a| {
        a.sub(rsp, 8)?;
        a.call(bench.function(CALLEE))?;
        a.add(rsp, 8)
    });
    refuses(&bench, Rule::Target, "the middle of another function", |a| {
        a.sub(rsp, 8)?;
        a.call(bench.function(CALLEE) + 1)?;
        a.add(rsp, 8)
    });
    let entry = u64::from(bench.image.entries[0].code.start);
    refuses(&bench, Rule::Target, "an entry thunk", |a| {
        a.sub(rsp, 8)?;
        a.call(entry)?;
        a.add(rsp, 8)
    });
    refuses(&bench, Rule::Target, "an argument", |a| {
        a.sub(rsp, 8)?;
        a.call(rdi)?;
        a.add(rsp, 8)
    });
    refuses(&bench, Rule::Frame, "arguments that nobody passed", |a| {
        a.sub(rsp, 8)?;
        a.call(bench.function(POPPER))?;
        a.add(rsp, 8)
    });
    accepts(&bench, "arguments that are taken", |a| {
        a.sub(rsp, 24)?;
        a.call(bench.function(POPPER))?;
        a.add(rsp, 8)
    });
}

/// What makes an index no larger than a bound.
#[derive(Clone, Copy)]
enum Clamp {
    Right,
    OtherWayRound,
    /// What is compared is a copy of the index.
    ByCopy,
    /// What is compared is something else.
    ByOther,
}

/// A jump through a table behind it, whose entries lead to the return behind that.
fn dispatch(a: &mut CodeAssembler, bound: Option<u32>, clamp: Clamp, entries: u32, by_byte: bool) -> Assembled {
    let (mut table, mut target) = (a.create_label(), a.create_label());
    a.mov(eax, edi)?;
    if let Some(bound) = bound {
        a.mov(ecx, bound)?;
        match clamp {
            Clamp::Right | Clamp::OtherWayRound => a.cmp(eax, ecx)?,
            Clamp::ByCopy => {
                a.mov(rsi, rax)?;
                a.cmp(esi, ecx)?;
            }
            Clamp::ByOther => a.cmp(esi, ecx)?,
        }
        if matches!(clamp, Clamp::OtherWayRound) { a.cmova(ecx, eax)? } else { a.cmovb(ecx, eax)? }
    } else {
        a.mov(ecx, eax)?;
    }
    a.lea(rax, ptr(table))?;
    if by_byte {
        a.movsx(rdx, byte_ptr(rax + rcx * 4))?
    } else {
        a.movsxd(rdx, dword_ptr(rax + rcx * 4))?
    }
    a.add(rax, rdx)?;
    a.jmp(rax)?;
    a.set_label(&mut table)?;
    // Each entry leads to the return behind the table.
    for _ in 0..entries {
        a.dd(&[4 * entries])?;
    }
    a.set_label(&mut target)?;
    a.ret()
}

/// T67, T56: jump tables.
#[test]
fn t67_jump_tables_are_clamped() {
    let bench = fixed();
    let jump = |bound, clamp, entries| bench.with(SUBJECT, |a| dispatch(a, bound, clamp, entries, false));
    bench.accepts("as many entries as there are", jump(Some(2), Clamp::Right, 3));
    bench.accepts("a copy of the index", jump(Some(2), Clamp::ByCopy, 3));
    bench.refuses(Rule::Target, "one more than there are", jump(Some(3), Clamp::Right, 3));
    bench.refuses(Rule::Target, "the other way round", jump(Some(2), Clamp::OtherWayRound, 3));
    bench.refuses(Rule::Target, "something else than the index", jump(Some(2), Clamp::ByOther, 3));
    bench.refuses(Rule::Target, "without a bound", jump(None, Clamp::Right, 3));
    let bytes = bench.with(SUBJECT, |a| dispatch(a, Some(2), Clamp::Right, 3, true));
    bench.refuses(Rule::Target, "a byte in the place of an offset", bytes);
}

/// T67, T57: the index of a jump table may be a constant. What the other entries lead to is followed as well: it is code of the
/// module, and tables speak of it.
#[test]
fn t67_a_jump_table_may_have_a_constant_index() {
    let bench = fixed();
    let code = |index: u32, last: u32, third: u32| {
        let mut image = bench.with(SUBJECT, |a| {
            let mut table = a.create_label();
            a.mov(eax, index)?;
            a.mov(ecx, last)?;
            a.cmp(eax, ecx)?;
            a.cmovb(ecx, eax)?;
            a.lea(rax, ptr(table))?;
            a.movsxd(rdx, dword_ptr(rax + rcx * 4))?;
            a.add(rax, rdx)?;
            a.jmp(rax)?;
            a.set_label(&mut table)?;
            a.dd(&[12, 13, third])?;
            a.ret()?;
            a.ud2()
        });
        // The second entry leads to this one.
        let CodeRange { start, len } = image.functions[SUBJECT];
        image.traps.push(start + len - 2, TrapCode::Unreachable as u8);
        image
    };
    for index in [0, 1, 2, 3, u32::MAX] {
        bench.accepts("a constant index", code(index, 2, 12));
        bench.refuses(Rule::Target, "an entry that leads out of the function", code(index, 2, 15));
        bench.refuses(Rule::Target, "more entries than there are", code(index, 3, 12));
    }
    // A table of the first entry alone: nothing leads to what the tables speak of.
    bench.refuses(Rule::Metadata, "no other entry", code(0, 0, 12));
}

/// T70: in mode arg, the context is passed on.
#[test]
fn t70_callees_find_their_context() {
    let bench = arg();
    let callee = bench.function(CALLEE);
    let call = |change: fn(&mut CodeAssembler) -> Assembled| {
        bench.with(SUBJECT, move |a| {
            a.sub(rsp, 8)?;
            change(a)?;
            a.call(callee)?;
            a.add(rsp, 8)?;
            a.ret()
        })
    };
    bench.accepts("as it came", call(|_| Ok(())));
    bench.refuses(Rule::Context, "an argument in its place", call(|a| a.mov(rdi, rsi)));
    bench.refuses(Rule::Context, "another address", call(|a| a.add(rdi, 16)));
    bench.refuses(Rule::Context, "the lower half", call(|a| a.mov(edi, edi)));
    bench.accepts(
        "from where it was kept",
        call(|a| {
            a.push(rdi)?;
            a.xor(edi, edi)?;
            a.pop(rdi)
        }),
    );
    // Memory by its base, as the context gives it.
    accepts(&bench, "memory", |a| {
        a.mov(rax, qword_ptr(rdi + 0x18))?;
        a.mov(ecx, esi)?;
        a.mov(eax, dword_ptr(rax + rcx + i32::MAX))
    });
    refuses(&bench, Rule::Memory, "before memory", |a| {
        a.mov(rax, qword_ptr(rdi + 0x18))?;
        a.mov(ecx, esi)?;
        a.mov(eax, dword_ptr(rax + rcx - 4))
    });
    refuses(&bench, Rule::Memory, "memory by an index of 64 bits", |a| {
        a.mov(rax, qword_ptr(rdi + 0x18))?;
        a.mov(eax, dword_ptr(rax + rsi))
    });
    refuses(&bench, Rule::Memory, "memory by an argument", |a| a.mov(eax, dword_ptr(rsi)));
}

/// T64: a search for a bit that finds none leaves its destination as it was, the upper half included.
#[test]
fn t64_searches_that_find_nothing() {
    let bench = fixed();
    type Search = fn(&mut CodeAssembler) -> Assembled;
    let searches: [(&str, Search); 4] = [
        ("bsf", |a| a.bsf(eax, esi)),
        ("bsr", |a| a.bsr(eax, esi)),
        // On a processor that does not have them, these are the two above.
        ("tzcnt", |a| a.tzcnt(eax, esi)),
        ("lzcnt", |a| a.lzcnt(eax, esi)),
    ];
    for (name, search) in searches {
        refuses(&bench, Rule::Memory, name, |a| {
            a.mov(rax, rdi)?;
            search(a)?;
            a.mov(eax, dword_ptr(rax + MEM))
        });
        accepts(&bench, name, |a| {
            a.mov(eax, edi)?;
            search(a)?;
            a.mov(eax, dword_ptr(rax + MEM))
        });
        accepts(&bench, name, |a| {
            a.mov(rax, rdi)?;
            search(a)?;
            a.mov(eax, eax)?;
            a.mov(eax, dword_ptr(rax + MEM))
        });
    }
}

/// T64: a jump back to code whose beginning is still to be looked at again.
#[test]
fn t64_jumps_back_while_more_is_to_come() {
    let bench = fixed();
    let code = |dirty: bool| {
        move |a: &mut CodeAssembler| {
            let (mut first, mut second) = (a.create_label(), a.create_label());
            a.mov(eax, edi)?;
            a.set_label(&mut first)?;
            a.xor(edx, edx)?;
            a.set_label(&mut second)?;
            a.mov(ecx, dword_ptr(rax + MEM))?;
            if dirty {
                a.mov(rax, rsi)?
            } else {
                a.mov(eax, esi)?
            }
            a.test(ecx, ecx)?;
            a.jne(first)?;
            a.mov(eax, edi)?;
            a.jmp(second)
        }
    };
    accepts(&bench, "an index that was extended", code(false));
    refuses(&bench, Rule::Memory, "one that was not", code(true));
}

/// T67: the status that is looked at is that of the last call.
#[test]
fn t67_each_call_of_the_host_has_a_status() {
    let bench = fixed();
    let layout = ContextLayout::new(&bench.info).expect("a small module");
    let slot = CONTEXT + u64::from(layout.function(0));
    let code = |tested: AsmRegister64| {
        move |a: &mut CodeAssembler| {
            let mut trap = a.create_label();
            a.sub(rsp, 24)?;
            a.mov(qword_ptr(rsp + 8), rbx)?;
            a.cmp(rsp, qword_ptr(CONTEXT + u64::from(STACK_LIMIT)))?;
            a.jb(trap)?;
            a.mov(edi, CTX)?;
            a.call(qword_ptr(slot))?;
            a.mov(rbx, rdx)?;
            a.test(rdx, rdx)?;
            a.jne(trap)?;
            a.mov(edi, CTX)?;
            a.call(qword_ptr(slot))?;
            a.test(tested, tested)?;
            a.jne(trap)?;
            a.mov(rbx, qword_ptr(rsp + 8))?;
            a.add(rsp, 24)?;
            a.ret()?;
            a.set_label(&mut trap)?;
            a.ud2()
        }
    };
    bench.accepts("the second", bench.with(SUBJECT, code(rdx)));
    bench.refuses(Rule::Status, "the first, which was kept", bench.with(SUBJECT, code(rbx)));
}

/// T67: nothing that the program or the host can see changes before the status is looked at.
#[test]
fn t67_nothing_changes_before_the_status_is_known() {
    let bench = fixed();
    let layout = ContextLayout::new(&bench.info).expect("a small module");
    let slot = CONTEXT + u64::from(layout.function(0));
    let variable = CONTEXT + cell(&bench, 2) as u64;
    let code = |before: Step, after: Step| {
        bench.with(SUBJECT, |a| {
            let mut trap = a.create_label();
            a.sub(rsp, 24)?;
            a.cmp(rsp, qword_ptr(CONTEXT + u64::from(STACK_LIMIT)))?;
            a.jb(trap)?;
            a.mov(edi, CTX)?;
            a.call(qword_ptr(slot))?;
            before(a)?;
            a.test(rdx, rdx)?;
            a.jne(trap)?;
            after(a)?;
            a.add(rsp, 24)?;
            a.ret()?;
            a.set_label(&mut trap)?;
            a.ud2()
        })
    };
    let nothing: Step = &|_| Ok(());
    let stores: [(&str, Step); 4] = [
        ("memory", &|a| a.mov(qword_ptr(MEMORY), rcx)),
        ("a global", &|a| a.mov(qword_ptr(variable), rcx)),
        ("an imported global", &|a| a.mov(qword_ptr(CELL), rcx)),
        ("the result area", &|a| a.mov(qword_ptr(RESULTS), rcx)),
    ];
    for (what, store) in stores {
        bench.accepts(what, code(nothing, store));
        bench.refuses(Rule::Status, what, code(store, nothing));
    }
    bench.accepts("the frame", code(&|a| a.mov(qword_ptr(rsp + 8), rcx), nothing));
}

/// T70: code and context come from the same entry of the same table.
#[test]
fn t70_code_and_context_of_one_entry() {
    let bench = arg();
    let nothing = bench.signature(1).0 as i32;
    let layout = ContextLayout::new(&bench.info).expect("a small module");
    let [long, other] = [0, 1].map(|table| layout.table(table) as i32);
    let entry = TABLE_ENTRIES as i32;
    let call = |of: i32| {
        move |a: &mut CodeAssembler| {
            let mut trap = a.create_label();
            a.sub(rsp, 8)?;
            a.mov(rax, qword_ptr(rdi + long))?;
            a.cmp(dword_ptr(rax + (entry + 8)), nothing)?;
            a.jne(trap)?;
            a.mov(rdx, qword_ptr(rax + entry))?;
            a.mov(rax, qword_ptr(rdi + of))?;
            a.cmp(dword_ptr(rax + (entry + 8)), nothing)?;
            a.jne(trap)?;
            a.mov(ecx, dword_ptr(rax + (entry + 12)))?;
            a.add(rcx, qword_ptr(rdi + ARENA as i32))?;
            a.mov(rdi, rcx)?;
            a.call(rdx)?;
            a.add(rsp, 8)?;
            a.ret()?;
            a.set_label(&mut trap)?;
            a.ud2()
        }
    };
    bench.accepts("of one entry", bench.with(SUBJECT, call(long)));
    bench.refuses(Rule::Context, "of two tables", bench.with(SUBJECT, call(other)));
}

/// T64: narrow products leave the rest of their registers as it was, and those of bytes leave RDX alone.
#[test]
fn t64_narrow_products() {
    let bench = fixed();
    let index = |made: Step| {
        bench.with(SUBJECT, |a| {
            a.mov(eax, edi)?;
            a.mov(edx, edi)?;
            made(a)?;
            a.ret()
        })
    };
    bench.accepts("of 32 bits", index(&|a| a.mul(edi).and_then(|()| a.mov(eax, dword_ptr(rax + MEM)))));
    bench.accepts("the other half", index(&|a| a.mul(edi).and_then(|()| a.mov(eax, dword_ptr(rdx + MEM)))));
    bench.accepts("of bytes, RDX", index(&|a| a.mul(dil).and_then(|()| a.mov(eax, dword_ptr(rdx + MEM)))));
    let wide: [(&str, Step); 4] = [
        ("of 64 bits", &|a| a.mul(rdi).and_then(|()| a.mov(eax, dword_ptr(rax + MEM)))),
        ("of 16 bits", &|a| a.mov(rax, rdi).and_then(|()| a.mul(di)).and_then(|()| a.mov(eax, dword_ptr(rax + MEM)))),
        ("of 16 bits, RDX", &|a| {
            a.mov(rdx, rdi).and_then(|()| a.imul(di)).and_then(|()| a.mov(eax, dword_ptr(rdx + MEM)))
        }),
        ("of bytes", &|a| a.mov(rax, rdi).and_then(|()| a.imul(dil)).and_then(|()| a.mov(eax, dword_ptr(rax + MEM)))),
    ];
    for (what, made) in wide {
        bench.refuses(Rule::Memory, what, index(made));
    }
}

/// CVE-2023-26489: `(index << 3) + base`, folded into an address of 35 bits.
#[test]
fn t64_cve_2023_26489() {
    let bench = fixed();
    refuses(&bench, Rule::Memory, "shifted in 64 bits", |a| {
        a.mov(eax, edi)?;
        a.shl(rax, 3)?;
        a.mov(eax, dword_ptr(rax + MEM))
    });
    refuses(&bench, Rule::Memory, "shifted until nothing is left of some", |a| {
        a.mov(eax, edi)?;
        a.shr(eax, 1)?;
        a.add(rax, 1)?;
        a.shl(rax, 33)?;
        a.mov(eax, dword_ptr(rax + MEM))
    });
    accepts(&bench, "shifted in 32 bits", |a| {
        a.mov(eax, edi)?;
        a.shl(eax, 3)?;
        a.mov(eax, dword_ptr(rax + MEM))
    });
}

/// CVE-2021-32629: a spilled number of 32 bits comes back sign-extended.
#[test]
fn t64_cve_2021_32629() {
    let bench = fixed();
    let reload = |wrong: bool| {
        move |a: &mut CodeAssembler| {
            a.sub(rsp, 8)?;
            a.mov(eax, edi)?;
            a.mov(qword_ptr(rsp), rax)?;
            if wrong {
                a.movsxd(rax, dword_ptr(rsp))?
            } else {
                a.mov(rax, qword_ptr(rsp))?
            }
            a.mov(eax, dword_ptr(rax + MEM))?;
            a.add(rsp, 8)
        }
    };
    accepts(&bench, "as it was", reload(false));
    refuses(&bench, Rule::Memory, "sign-extended", reload(true));
}

/// The upper half of a select is not what its lower half was proved to be.
#[test]
fn t64_select_with_a_dirty_upper_half() {
    let bench = fixed();
    refuses(&bench, Rule::Memory, "of 64 bits", |a| {
        a.mov(eax, edi)?;
        a.test(esi, esi)?;
        a.cmove(rax, rdx)?;
        a.mov(eax, dword_ptr(rax + MEM))
    });
    accepts(&bench, "of 32 bits", |a| {
        a.mov(eax, edi)?;
        a.test(esi, esi)?;
        a.cmove(eax, edx)?;
        a.mov(eax, dword_ptr(rax + MEM))
    });
}

/// A load of 8 bytes that became one of 16, at the end of constants, of a global and of a slot.
#[test]
fn t65_wider_than_it_was() {
    let bench = fixed();
    let constant = |bytes: usize, wide: bool| {
        bench.with(SUBJECT, move |a| {
            let mut constant = a.create_label();
            if wide { a.addpd(xmm0, xmmword_ptr(constant)) } else { a.addsd(xmm0, qword_ptr(constant)) }?;
            a.ret()?;
            a.set_label(&mut constant)?;
            a.db(&vec![0; bytes])
        })
    };
    bench.accepts("8 bytes", constant(8, false));
    bench.refuses(Rule::Instruction, "16 of 8, by an instruction that is not used", constant(8, true));
    let vector = |bytes: usize| {
        bench.with(SUBJECT, move |a| {
            let mut constant = a.create_label();
            a.vaddpd(xmm0, xmm0, xmmword_ptr(constant))?;
            a.ret()?;
            a.set_label(&mut constant)?;
            a.db(&vec![0; bytes])
        })
    };
    bench.accepts("16 of 16", vector(16));
    bench.refuses(Rule::Memory, "16 of 8", vector(8));
    refuses(&bench, Rule::Signature, "the signature and what follows it", |a| {
        a.mov(rcx, qword_ptr((ENTRY + 8) as u64))
    });
}

/// The tables that the runtime believes at a fault.
#[test]
fn t57_tables_speak_of_what_is_there() {
    let bench = fixed();
    let code = |at: Option<(u32, TrapCode)>| {
        let mut image = bench.with(SUBJECT, |a| {
            a.mov(eax, edi)?;
            a.mov(eax, dword_ptr(rax + MEM))?;
            a.ret()?;
            a.ud2()
        });
        let start = image.functions[SUBJECT].start;
        if let Some((at, code)) = at {
            image.traps.push(start + at, code as u8);
        }
        image
    };
    bench.accepts("none", code(None));
    bench.accepts("the load", code(Some((2, TrapCode::HeapOutOfBounds))));
    for (what, at, trap) in [
        ("another instruction", 0, TrapCode::HeapOutOfBounds),
        ("the middle of one", 3, TrapCode::HeapOutOfBounds),
        ("another reason", 2, TrapCode::Unreachable),
        ("what no path leads to", 9, TrapCode::Unreachable),
    ] {
        bench.refuses(Rule::Metadata, what, code(Some((at, trap))));
    }
}

/// Code that only a jump back leads to, as behind handlers of exceptions: what a table says of it counts, and it is checked.
#[test]
fn t57_code_that_only_a_jump_back_leads_to() {
    let bench = fixed();
    let code = |trap: Option<u32>, register: AsmRegister64| {
        let mut image = bench.with(SUBJECT, |a| {
            let (mut behind, mut before) = (a.create_label(), a.create_label());
            a.jmp(behind)?;
            a.set_label(&mut before)?;
            a.mov(eax, dword_ptr(register + MEM))?;
            a.ret()?;
            a.set_label(&mut behind)?;
            a.mov(edi, edi)?;
            a.jmp(before)
        });
        // The jump takes two bytes.
        let at = image.functions[SUBJECT].start + 2;
        if let Some(trap) = trap {
            image.traps.push(at + trap, TrapCode::HeapOutOfBounds as u8);
        }
        image
    };
    bench.accepts("without a table", code(None, rdi));
    bench.accepts("with its own fault", code(Some(0), rdi));
    bench.refuses(Rule::Metadata, "inside of it", code(Some(1), rdi));
    bench.refuses(Rule::Memory, "an address that is no index", code(Some(0), rsi));
    bench.refuses(Rule::Memory, "the same without a table", code(None, rsi));
}

/// T71: more work than its length allows is a refusal.
#[test]
fn t71_work_is_bounded() {
    let bench = fixed();
    // Jumps back into one long run, each to an earlier place than the one before, and each is found only after the run was followed
    // again: each splits it again.
    const JUMPS: usize = 20_000;
    let image = bench.with(SUBJECT, |a| {
        let mut labels: Vec<_> = (0..JUMPS).map(|_| a.create_label()).collect();
        for label in &mut labels {
            a.set_label(label)?;
            a.xor(eax, eax)?;
        }
        for label in labels.iter().skip(1).rev() {
            let mut next = a.create_label();
            a.je(*label)?;
            a.je(next)?;
            a.set_label(&mut next)?;
        }
        a.ret()
    });
    let started = std::time::Instant::now();
    bench.refuses(Rule::Budget, "many runs that are split", image);
    assert!(started.elapsed() < std::time::Duration::from_secs(60), "{:?}", started.elapsed());
    let few = bench.with(SUBJECT, |a| {
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        a.xor(eax, eax)?;
        a.xor(ecx, ecx)?;
        a.jne(again)?;
        a.ret()
    });
    bench.refuses(Rule::Target, "a loop to the entry", few);
}

/// T71: what states share is not looked at, however many words of the frame are known where a jump leads.
#[test]
fn t71_large_frames_are_cheap() {
    let bench = fixed();
    let code = |words: usize, jumps: usize| {
        let mut code = vec![0x53; words];
        code.extend([0x75, 0x00].repeat(jumps));
        code.extend([0x48, 0x81, 0xc4]);
        code.extend((8 * words as u32).to_le_bytes());
        code.push(0xc3);
        bench.with_bytes(SUBJECT, &code)
    };
    bench.accepts("8191 words", code(8_191, 0));
    // 40 million words in all.
    let report = bench.verify(code(8_191, 5_000)).expect("8191 words in 5000 places");
    assert!(report.steps < 40_000, "{}", report.steps);
}

/// T71: what differs between states has its price where they meet.
#[test]
fn t71_different_words_have_their_price() {
    let bench = fixed();
    let code = |words: usize, jumps: usize| {
        // xor eax, eax; push rax, as often; jne the end; each word becomes 2; jne the end, as often
        let mut code = [0x31, 0xc0].to_vec();
        code.extend(vec![0x50; words]);
        let end = 6 + 12 * words + 6 * jumps;
        let mut left = end;
        let mut jump = |code: &mut Vec<u8>, behind: usize| {
            left -= behind + 6;
            code.extend([0x0f, 0x85]);
            code.extend((left as u32).to_le_bytes());
        };
        jump(&mut code, 0);
        for word in 0..words {
            // mov qword [rsp + 8 * word], 2
            code.extend([0x48, 0xc7, 0x84, 0x24]);
            code.extend((8 * word as u32).to_le_bytes());
            code.extend([2, 0, 0, 0]);
        }
        jump(&mut code, 12 * words);
        (1..jumps).for_each(|_| jump(&mut code, 0));
        code.extend([0x48, 0x81, 0xc4]);
        code.extend((8 * words as u32).to_le_bytes());
        code.push(0xc3);
        bench.with_bytes(SUBJECT, &code)
    };
    bench.accepts("2000 words that differ at 2000 jumps", code(2_000, 2_000));
    bench.refuses(Rule::Budget, "16000 words that differ at 40000 jumps", code(16_000, 40_000));
}

/// T71: a call forgets what was read of tables and of the host: each line of words with such a value is looked at.
#[test]
fn t71_words_that_calls_forget_have_their_price() {
    let bench = fixed();
    let layout = ContextLayout::new(&bench.info).expect("a small module");
    let host = (CTX as u32 + layout.function(0)) as u64;
    let callee = bench.function(CALLEE);
    let code = |words: i32, calls: usize| {
        bench.with(SUBJECT, |a| {
            let mut trap = a.create_label();
            a.sub(rsp, 8)?;
            a.mov(eax, CTX)?;
            a.cmp(rsp, qword_ptr(rax + STACK_LIMIT as i32))?;
            a.jb(trap)?;
            a.mov(edi, CTX)?;
            a.call(qword_ptr(host))?;
            a.test(rdx, rdx)?;
            a.jne(trap)?;
            for _ in 0..words {
                a.push(rdx)?;
            }
            for _ in 0..calls {
                a.call(callee)?;
            }
            a.add(rsp, 8 * words + 8)?;
            a.ret()?;
            a.set_label(&mut trap)?;
            a.ud2()
        })
    };
    bench.accepts("6000 calls above 2000 words", code(2_000, 6_000));
    bench.refuses(Rule::Budget, "12000 calls above 16000 words", code(16_000, 12_000));
}

/// T71: the states where jumps lead take no more memory than a multiple of the code.
#[test]
fn t71_memory_is_bounded() {
    let bench = fixed();
    let code = |jumps: usize| {
        // xor eax, eax; sub rsp, 0xfff8; mov [rsp + 2^n], rbx for each n: many branches above the word that changes
        let mut code = [0x31, 0xc0, 0x48, 0x81, 0xec, 0xf8, 0xff, 0, 0].to_vec();
        for bit in 6..16 {
            code.extend([0x48, 0x89, 0x9c, 0x24]);
            code.extend((1_u32 << bit).to_le_bytes());
        }
        // In turn: mov [rsp], rax; jne to what follows; mov [rsp], rbx; jne to what follows
        let both = [[0x48, 0x89, 0x44, 0x24, 0, 0x75, 0], [0x48, 0x89, 0x5c, 0x24, 0, 0x75, 0]];
        code.extend(both.as_flattened().repeat(jumps));
        code.extend([0x48, 0x81, 0xc4, 0xf8, 0xff, 0, 0, 0xc3]);
        bench.with_bytes(SUBJECT, &code)
    };
    bench.accepts("a change in 1000 places", code(500));
    let refusal = bench.refuses(Rule::Budget, "a change in 10000 places", code(5_000));
    assert!(refusal.what.contains("too much is known in too many places"), "{refusal}");
}

/// T71: each entry of a jump table is followed from each jump.
#[test]
fn t71_jump_tables_have_their_price() {
    let bench = fixed();
    let code = |jumps: i32, targets: i32| {
        const JUMP: i32 = 29;
        let table = JUMP * jumps + targets + 1;
        let mut code = Vec::new();
        for jump in 0..jumps {
            // mov eax, edi; je the next of these; and eax, targets - 1
            code.extend([0x89, 0xf8, 0x0f, 0x84]);
            code.extend((JUMP - 8).to_le_bytes());
            code.push(0x25);
            code.extend((targets - 1).to_le_bytes());
            // lea rcx, [table]; movsxd rdx, [rcx + 4 * rax]; add rcx, rdx; jmp rcx
            code.extend([0x48, 0x8d, 0x0d]);
            code.extend((table - (JUMP * jump + 20)).to_le_bytes());
            code.extend([0x48, 0x63, 0x14, 0x81, 0x48, 0x01, 0xd1, 0xff, 0xe1]);
        }
        code.extend(vec![0x90; targets as usize]);
        code.push(0xc3);
        (0..targets).for_each(|target| code.extend((JUMP * jumps + target - table).to_le_bytes()));
        bench.with_bytes(SUBJECT, &code)
    };
    bench.accepts("20 jumps of 2048 targets", code(20, 2_048));
    bench.refuses(Rule::Budget, "1000 jumps of 2048 targets", code(1_000, 2_048));
}

/// T65: objects lie apart from each other, and none at the end of the address space; otherwise an address would lead to two.
#[test]
fn t65_objects_do_not_overlap() {
    let bench = fixed();
    let placed = |change: &dyn Fn(&mut FixedAddresses)| {
        let (mut image, mut terms) = (bench.image.clone(), bench.terms.clone());
        let Addressing::Fixed(addresses) = &mut terms.addressing else { panic!("mode fixed") };
        change(addresses);
        image.addressing = terms.addressing.clone();
        match verify(image, &bench.bytes, terms, 1) {
            Ok(_) => None,
            Err(VerifyError::Refused(refusals)) => Some(refusals[0].what.clone()),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(placed(&|_| {}), None);
    assert_eq!(placed(&|addresses| addresses.memories[0].base = 1 << 46), None);
    let refused = Some("the addresses are not those of such a module".to_owned());
    for base in [u64::MAX - 0xfff, CONTEXT - 0x1000, RESULTS + 8, DESCRIPTOR, TABLES - 8] {
        assert_eq!(placed(&|addresses| addresses.memories[0].base = base), refused, "{base:#x}");
    }
    assert_eq!(placed(&|addresses| addresses.memories[0].descriptor = RESULTS + 64), refused);
    assert_eq!(placed(&|addresses| addresses.globals[0] = u64::MAX - 7), refused);
    assert_eq!(placed(&|addresses| addresses.tables[1] = u64::MAX - 7), refused);
}
