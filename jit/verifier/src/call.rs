//! Calls, tail calls and returns.

use crate::convention::stack_bytes;
use crate::refusal::Rule;
use crate::state::{NO_ROOM, State};
use crate::step::{Interpreter, Problem};
use crate::value::{Entry, Gpr, Value};
use wave_contract::STACK_PROBE_BYTES;
use wave_contract::libcall::Libcall;
use wave_contract::types::FuncType;

/// Who is called.
#[derive(Clone, Copy)]
enum Callee {
    /// A guest function, with so many bytes of arguments on the stack, and what its context must be.
    Guest(u32, Context),
    /// The host, with so many bytes of arguments on the stack.
    Host(u32),
}

/// The context that a callee relies on.
#[derive(Clone, Copy)]
enum Context {
    /// The one of this instance.
    Own,
    /// That of a table entry.
    Entry(Entry),
    /// That of an import.
    Import(u32),
    /// That which an entry thunk is given.
    Entered,
}

impl<'a> Interpreter<'a> {
    /// A call of the function whose code begins at an offset.
    pub fn call(&mut self, state: &mut State, target: u64) -> Result<(), Problem> {
        self.uses(|uses| &mut uses.calls);
        let bytes = self.function_at(target)?;
        self.enter(state, Callee::Guest(bytes, Context::Own))
    }

    /// A call of what an operand holds.
    pub fn call_indirect(&mut self, state: &mut State, callee: Value) -> Result<(), Problem> {
        let callee = self.callee(callee)?;
        self.uses(|uses| match callee {
            Callee::Guest(..) => &mut uses.indirect_calls,
            Callee::Host(_) => &mut uses.host_calls,
        });
        self.enter(state, callee)
    }

    /// A jump to the function whose code begins at an offset.
    pub fn tail_call(&mut self, state: &State, target: u64) -> Result<(), Problem> {
        self.uses(|uses| &mut uses.calls);
        let bytes = self.function_at(target)?;
        self.leave_to(state, bytes, Context::Own)
    }

    /// A jump to what an operand holds.
    pub fn tail_call_indirect(&mut self, state: &State, callee: Value) -> Result<(), Problem> {
        self.uses(|uses| &mut uses.indirect_calls);
        match self.callee(callee)? {
            Callee::Guest(bytes, context) => self.leave_to(state, bytes, context),
            Callee::Host(_) => Err(Problem::new(Rule::Target, "a jump to the host")),
        }
    }

    /// A return that takes `popped` bytes of arguments with it.
    pub fn leave(&self, state: &State, popped: u32) -> Result<(), Problem> {
        if popped != self.argument_bytes {
            let what = format!("it takes {popped} bytes of arguments from the stack, not {}", self.argument_bytes);
            return Err(Problem::new(Rule::Return, what));
        }
        self.restored(state, 0)
    }

    /// Bytes of arguments on the stack of the function whose code begins at an offset.
    fn function_at(&self, target: u64) -> Result<u32, Problem> {
        let bytes = u32::try_from(target).ok().and_then(|target| self.task.function_at(target));
        bytes.ok_or_else(|| Problem::new(Rule::Target, "no function of the module begins there"))
    }

    /// The callee that a value is the address of.
    fn callee(&self, value: Value) -> Result<Callee, Problem> {
        let task = self.task;
        let guest = |ty, context| Callee::Guest(stack_bytes(ty, task.leading()), context);
        let callee = match value {
            Value::Code { signature, entry } => task.type_of(signature).map(|ty| guest(ty, Context::Entry(entry))),
            Value::EnteredCode => self.entered.map(|ty| guest(ty, Context::Entered)),
            Value::Libcall(number) => Libcall::ALL.get(usize::from(number)).map(|libcall| {
                let ty = FuncType::new(libcall.params(), []);
                Callee::Host(stack_bytes(&ty, 1))
            }),
            Value::Import(index) => {
                let host = task.host_imports.get(index as usize).copied();
                task.info.function_type(index).zip(host).map(|(ty, host)| match host {
                    true => Callee::Host(stack_bytes(ty, 1)),
                    false => guest(ty, Context::Import(index)),
                })
            }
            _ => None,
        };
        callee.ok_or_else(|| Problem::new(Rule::Target, format!("{value:?} is nothing that code may call")))
    }

    /// The state after a call.
    fn enter(&mut self, state: &mut State, callee: Callee) -> Result<(), Problem> {
        if state.pending {
            return Err(Problem::new(Rule::Status, "a call before the status of a hostcall was looked at"));
        }
        let stack = self.stack(state)?;
        // The return address of this function lies at 8 below a multiple of 16.
        if stack.rem_euclid(16) != 8 {
            return Err(Problem::new(Rule::Alignment, "a call with a stack pointer that is no multiple of 16"));
        }
        let bytes = match callee {
            Callee::Guest(bytes, context) => {
                self.has_context(state, context, true)?;
                bytes
            }
            Callee::Host(bytes) => {
                self.has_context(state, Context::Own, false)?;
                if state.room == NO_ROOM || stack < state.room {
                    return Err(Problem::new(
                        Rule::StackLimit,
                        "the host is called, and there may be no stack left for it",
                    ));
                }
                bytes
            }
        };
        let arguments = i64::from(stack) + i64::from(bytes);
        if arguments > 0 {
            return Err(Problem::new(Rule::Frame, format!("{bytes} bytes of arguments are not in the frame")));
        }
        let pushed = stack - 8;
        if i64::from(state.touched) - i64::from(pushed) > STACK_PROBE_BYTES as i64 + 8 {
            return Err(Problem::new(Rule::Probe, "a call too far below what was touched of the stack"));
        }
        state.touched = state.touched.min(pushed);

        let is_host = matches!(callee, Callee::Host(_));
        if bytes > 0 {
            // The callee may write its arguments.
            state.write(stack, bytes, Value::Any);
        }
        if bytes > 0 && !is_host {
            let after = stack.saturating_add(i32::try_from(bytes).unwrap_or(i32::MAX));
            state.set(Gpr::RSP, Value::Frame(after));
        }
        state.clobber();
        // It may also have changed tables: fields of an entry read before and after can belong to different functions.
        self.forget(state, |value| value.entry().is_some() && !matches!(value, Value::EntryOffset { .. }));
        state.checked = None;
        if is_host {
            // The status of an earlier call is not the status of this one.
            self.forget(state, |value| value == Value::Status);
            state.set(Gpr::RDX, Value::Status);
            state.pending = true;
        }
        Ok(())
    }

    /// Whether a callee finds the context it relies on.
    fn has_context(&self, state: &State, context: Context, guest: bool) -> Result<(), Problem> {
        let found = state.get(Gpr::RDI);
        let expected = match context {
            Context::Own => self.task.places.context(),
            Context::Entry(entry) => Value::CalleeContext(entry),
            Context::Import(index) => Value::ImportContext(index),
            Context::Entered => Value::EnteredContext { field: 0 },
        };
        // In mode fixed, guest code has its context's address; the host is passed it.
        if found != expected && !(self.task.is_fixed && guest) {
            return Err(Problem::new(Rule::Context, format!("{found:?} is passed as context, not {expected:?}")));
        }
        Ok(())
    }

    /// A tail call.
    fn leave_to(&self, state: &State, bytes: u32, context: Context) -> Result<(), Problem> {
        self.has_context(state, context, true)?;
        let own = i64::from(self.argument_bytes);
        let expected =
            i32::try_from(own - i64::from(bytes)).map_err(|_| Problem::new(Rule::Frame, "the arguments do not fit"))?;
        self.restored(state, expected)
    }

    /// Whether the stack pointer is at the return address, which lies at an offset, and the caller's registers are as they were.
    fn restored(&self, state: &State, at: i32) -> Result<(), Problem> {
        if state.pending {
            return Err(Problem::new(Rule::Status, "it leaves before the status of a hostcall was looked at"));
        }
        let stack = self.stack(state)?;
        if stack != at {
            return Err(Problem::new(Rule::Return, format!("the stack pointer is {stack} from its start, not {at}")));
        }
        if state.slot(at) != Value::Return {
            return Err(Problem::new(Rule::Return, "the return address may have changed"));
        }
        match Gpr::SAVED.into_iter().find(|register| state.get(*register) != Value::Saved(*register)) {
            Some(register) => {
                Err(Problem::new(Rule::Return, format!("the caller's register {} may have changed", register.0)))
            }
            None => Ok(()),
        }
    }
}
