//! Code that is generated: calls of the host, and calls by the host.

use wasm_encoder::{BlockType, Catch, FuncType, Function, ValType};

/// The interface of the host by which results are fetched.
pub const RESULTS: &str = "wave:abi/results@1";

/// Traps if this component may not call out now: its own `realloc` or `post-return` runs.
fn check_may_leave(body: &mut Function, flag: Option<u32>) {
    if let Some(flag) = flag {
        body.instructions().global_get(flag).i32_eqz().if_(BlockType::Empty).unreachable().end();
    }
}

/// Calls out are forbidden, or allowed again.
fn set_may_leave(body: &mut Function, flag: Option<u32>, may: bool) {
    if let Some(flag) = flag {
        body.instructions().i32_const(i32::from(may)).global_set(flag);
    }
}

/// How a result is fetched: the functions to call, and the memory.
#[derive(Clone, Copy, Debug)]
pub struct FetchCode {
    /// The host says what it needs next.
    pub next: u32,
    /// The host writes it.
    pub place: u32,
    /// The component allocates it.
    pub realloc: u32,
    /// Where.
    pub memory: u32,
    /// The size of a page of that memory, as a power of two.
    pub page_log2: u32,
}

/// The parameters of a type, as locals on the stack.
fn push_params(body: &mut Function, ty: &FuncType) -> u32 {
    let count = crate::rewrite::number(ty.params().len());
    for local in 0..count {
        body.instructions().local_get(local);
    }
    count
}

/// A call of the host by a component.
pub fn host_call(ty: &FuncType, import: u32, flag: Option<u32>, fetch: Option<FetchCode>) -> Function {
    let mut body = Function::new([(1, ValType::I64), (1, ValType::I32)]);
    check_may_leave(&mut body, flag);
    let params = push_params(&mut body, ty);
    let (wanted, at) = (params, params + 1);
    body.instructions().call(import);
    if let Some(fetch) = fetch {
        body.instructions().loop_(BlockType::Empty);
        body.instructions().call(fetch.next).local_tee(wanted).i64_const(-1).i64_ne().if_(BlockType::Empty);
        body.instructions().i32_const(0).i32_const(0);
        body.instructions().local_get(wanted).i64_const(32).i64_shr_u().i32_wrap_i64();
        body.instructions().local_get(wanted).i32_wrap_i64();
        body.instructions().call(fetch.realloc).local_set(at);
        // Not aligned: at & (align - 1).
        body.instructions().local_get(at).local_get(wanted).i64_const(32).i64_shr_u().i32_wrap_i64();
        body.instructions().i32_const(1).i32_sub().i32_and();
        // Out of bounds: at + bytes > length, in 64 bits.
        body.instructions().local_get(at).i64_extend_i32_u();
        body.instructions().local_get(wanted).i64_const(0xffff_ffff).i64_and().i64_add();
        body.instructions()
            .memory_size(fetch.memory)
            .i64_extend_i32_u()
            .i64_const(i64::from(fetch.page_log2))
            .i64_shl();
        body.instructions().i64_gt_u().i32_or().if_(BlockType::Empty).unreachable().end();
        body.instructions().local_get(at).call(fetch.place);
        body.instructions().br(1).end().end();
    }
    body.instructions().end();
    body
}

/// The `realloc` of a component, which may not call out meanwhile. What it throws is a trap, if functions may throw.
pub fn realloc(function: u32, flag: Option<u32>, throws: bool) -> Function {
    let mut body = Function::new([]);
    set_may_leave(&mut body, flag, false);
    if throws {
        body.instructions().block(BlockType::Result(ValType::I32)).block(BlockType::Empty);
        body.instructions().try_table(BlockType::Empty, [Catch::All { label: 0 }]);
    }
    for param in 0..4 {
        body.instructions().local_get(param);
    }
    body.instructions().call(function);
    if throws {
        body.instructions().br(2).end().end().unreachable().end();
    }
    set_may_leave(&mut body, flag, true);
    body.instructions().end();
    body
}

/// A call by the host. `clean` is the function that a component cleans up with after a flat result, and the global that says whether it
/// may call out. `enters` are globals that say of components whether one of their functions runs.
pub fn host_calls(ty: &FuncType, callee: u32, clean: Option<(u32, Option<u32>)>, enters: &[u32]) -> Function {
    let mut body = Function::new(ty.results().iter().map(|ty| (1, *ty)));
    for running in enters {
        body.instructions().i32_const(1).global_set(*running);
    }
    let params = push_params(&mut body, ty);
    let results = params..params + crate::rewrite::number(ty.results().len());
    body.instructions().call(callee);
    for result in results.clone().rev() {
        body.instructions().local_set(result);
    }
    if let Some((post_return, flag)) = clean {
        set_may_leave(&mut body, flag, false);
        for result in results.clone() {
            body.instructions().local_get(result);
        }
        body.instructions().call(post_return);
        set_may_leave(&mut body, flag, true);
    }
    for running in enters {
        body.instructions().i32_const(0).global_set(*running);
    }
    for result in results {
        body.instructions().local_get(result);
    }
    body.instructions().end();
    body
}

/// A call by the host that translates handles. `area` is what allocates memory for the result, its size and its alignment, if it is in
/// memory. Otherwise the memory for values is free afterwards, if there is one.
pub fn translated(ty: &FuncType, callee: u32, area: Option<(u32, u32, u32)>, memory: Option<u32>) -> Function {
    let mut body = Function::new(ty.results().iter().map(|ty| (1, *ty)));
    let result = push_params(&mut body, ty);
    let has_result = !ty.results().is_empty();
    if let Some((realloc, size, align)) = area {
        body.instructions().i32_const(0).i32_const(0).i32_const(align.cast_signed()).i32_const(size.cast_signed());
        body.instructions().call(realloc).local_tee(result);
    }
    body.instructions().call(callee);
    if area.is_none() {
        if has_result {
            body.instructions().local_set(result);
        }
        if let Some(memory) = memory {
            crate::handles::reset(&mut body.instructions(), memory);
        }
    }
    if has_result {
        body.instructions().local_get(result);
    }
    body.instructions().end();
    body
}

/// The entry of a command: an error of `run` is an exit with status 1.
pub fn command(run: u32, exit: u32) -> Function {
    let mut body = Function::new([(1, ValType::I32)]);
    body.instructions().call(run).local_tee(0).i32_const(1).i32_gt_u().if_(BlockType::Empty).unreachable().end();
    body.instructions().local_get(0).if_(BlockType::Empty).i32_const(1).call(exit).unreachable().end().end();
    body
}
