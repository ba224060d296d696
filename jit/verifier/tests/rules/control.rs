//! Which instructions there are, branches, returns and the stack (T66, T68, T69).

use super::*;

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
