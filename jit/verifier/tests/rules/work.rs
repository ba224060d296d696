//! Time and memory (T71).

use super::*;

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
