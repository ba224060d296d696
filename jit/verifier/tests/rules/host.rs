//! Calls of the host and of the runtime (T67).

use super::*;

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
