//! Linear memories, the context and constants: what is read and written (T64, T65).

use super::*;

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
