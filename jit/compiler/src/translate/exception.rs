//! Exceptions: throwing, catching, and passing on what is not caught.
//!
//! A call that may throw is followed by a look at the slot of the exception ([`wave_contract::abi`]). If there is one, code
//! goes on at the *landing* of the innermost block that catches, which compares tags, clause by clause; without such a
//! block, at the function's landing, which returns. Both are made when they are first needed.
//!
//! The blocks of the older proposal are translated to the same: their handlers lie behind the landing instead of behind a
//! label.

use super::Translator;
use super::control::Kind;
use crate::emit::{clif_type, trap_code};
use crate::error::CompileError;
use cranelift_codegen::ir::types::{F32, F64, I8X16, I32};
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use wasmparser::{BlockType, Catch, TryTable};
use wave_contract::abi::results_in_registers;
use wave_contract::libcall::Libcall;
use wave_contract::trap::TrapCode;
use wave_contract::types::ValType;

/// A block that catches.
pub(super) enum Try {
    /// `try_table` with its clauses, and where calls inside go on when they have thrown, once there is one.
    Table(Vec<Catch>, Option<Block>),
    /// `try` before its first handler.
    Body(Option<Block>),
    /// A handler: the exception that it handles, and where code goes on if it is another handler's, unless this one
    /// takes all. `None` if nothing can be thrown in the body.
    Handler(Option<(Value, Option<Block>)>),
}

impl<'e> Translator<'e, '_> {
    /// What the values of an exception with this tag are.
    fn payload(&self, tag: u32) -> Result<&'e [ValType], CompileError> {
        let info = self.e.env.info;
        let ty = info.tags.get(tag as usize).and_then(|ty| info.signature(*ty));
        Ok(&ty.ok_or_else(|| self.unsupported("exception without a tag"))?.params)
    }

    /// Where code goes on when something has been thrown inside all but the innermost `skipped` blocks.
    fn landing(&mut self, skipped: usize) -> Block {
        let outer = self.frames.len().saturating_sub(skipped);
        let found = self.frames[..outer].iter_mut().rev().find_map(|frame| match &mut frame.kind {
            Kind::Try(Try::Table(_, landing) | Try::Body(landing)) => Some(landing),
            _ => None,
        });
        let landing = found.unwrap_or(&mut self.landing);
        *landing.get_or_insert_with(|| {
            let block = self.e.b.create_block();
            self.e.b.set_cold_block(block);
            block
        })
    }

    /// Goes on only if the call just before has not thrown.
    pub(super) fn look_for_exception(&mut self) {
        let exception = self.e.load_exception();
        let landing = self.landing(0);
        let next = self.e.b.create_block();
        self.e.b.ins().brif(exception, landing, &[], next, &[]);
        self.e.b.seal_block(next);
        self.e.b.switch_to_block(next);
    }

    /// Throws an exception from inside all but the innermost `skipped` blocks.
    fn raise(&mut self, exception: Value, skipped: usize) {
        self.e.store_exception(exception);
        let landing = self.landing(skipped);
        self.e.b.ins().jump(landing, &[]);
        self.set_dead();
    }

    pub(super) fn throw(&mut self, tag: u32) -> Result<(), CompileError> {
        let types = self.payload(tag)?;
        self.charge(types.len() + 1)?;
        let height = self.settle_top(types.len());
        self.e.store_results(&self.stack[height..]);
        self.stack.truncate(height);
        let exception = self.exception_call(Libcall::Throw, None, tag);
        self.raise(exception, 0);
        Ok(())
    }

    pub(super) fn throw_ref(&mut self) {
        let exception = self.pop();
        self.ins().trapz(exception, trap_code(TrapCode::NullException));
        self.raise(exception, 0);
    }

    pub(super) fn rethrow(&mut self, depth: u32) -> Result<(), CompileError> {
        match self.frame(depth).kind {
            Kind::Try(Try::Handler(Some((exception, _)))) => self.raise(exception, 0),
            _ => return Err(self.unsupported("rethrow of what nothing throws")),
        }
        Ok(())
    }

    fn exception_call(&mut self, libcall: Libcall, exception: Option<Value>, tag: u32) -> Value {
        let tag = self.ins().iconst(I32, i64::from(tag));
        let arguments = [exception.unwrap_or(tag), tag];
        let arguments = if exception.is_some() { &arguments[..] } else { &arguments[1..] };
        self.e.libcall(libcall, arguments).expect("both have a result")
    }

    /// Goes on in a new block if the exception has this tag, with its values pushed. Returns where code goes on otherwise.
    fn match_tag(&mut self, exception: Value, tag: u32) -> Result<Block, CompileError> {
        let types = self.payload(tag)?;
        self.charge(types.len() + 1)?;
        let matches = self.exception_call(Libcall::Catch, Some(exception), tag);
        let (taken, next) = (self.e.b.create_block(), self.e.b.create_block());
        self.e.b.ins().brif(matches, taken, &[], next, &[]);
        for block in [taken, next] {
            self.e.b.seal_block(block);
            self.e.b.set_cold_block(block);
        }
        self.e.b.switch_to_block(taken);
        self.caught();
        self.e.load_results(types, self.stack);
        Ok(next)
    }

    /// Nothing is being thrown any more.
    fn caught(&mut self) {
        let none = self.ins().iconst(I32, 0);
        self.e.store_exception(none);
    }

    pub(super) fn open_try_table(&mut self, table: &TryTable) -> Result<(), CompileError> {
        self.charge(table.catches.len())?;
        self.open_kind(Kind::Try(Try::Table(table.catches.clone(), None)), table.ty)
    }

    pub(super) fn open_try(&mut self, ty: BlockType) -> Result<(), CompileError> {
        self.open_kind(Kind::Try(Try::Body(None)), ty)
    }

    /// The end of a block that may catch, before its exit.
    pub(super) fn end_try(&mut self, caught: Try, height: usize, results: usize) -> Result<(), CompileError> {
        let unmatched = match caught {
            Try::Table(_, None) | Try::Body(None) | Try::Handler(None | Some((_, None))) => return Ok(()),
            Try::Table(_, Some(block)) | Try::Body(Some(block)) => {
                self.e.b.seal_block(block);
                block
            }
            Try::Handler(Some((_, Some(block)))) => block,
        };
        if self.dead.is_none() {
            let exit = self.target(0);
            self.jump(exit, results);
        }
        self.stack.truncate(height);
        self.e.b.switch_to_block(unmatched);
        self.dead = None;
        if let Try::Table(catches, _) = caught {
            let exception = self.e.load_exception();
            for catch in catches {
                let (label, reference, next) = match catch {
                    Catch::One { tag, label } => (label, false, Some(self.match_tag(exception, tag)?)),
                    Catch::OneRef { tag, label } => (label, true, Some(self.match_tag(exception, tag)?)),
                    Catch::All { label } => (label, false, None),
                    Catch::AllRef { label } => (label, true, None),
                };
                if next.is_none() {
                    self.caught();
                }
                if reference {
                    self.push(exception);
                }
                // Labels count from outside of this block, which is still open.
                self.br(label + 1)?;
                self.stack.truncate(height);
                let Some(next) = next else { return Ok(()) };
                self.e.b.switch_to_block(next);
                self.dead = None;
            }
        }
        let outer = self.landing(1);
        self.e.b.ins().jump(outer, &[]);
        self.set_dead();
        Ok(())
    }

    /// `catch` with a tag, or `catch_all` without.
    pub(super) fn handler(&mut self, tag: Option<u32>) -> Result<(), CompileError> {
        let frame = self.frame(0);
        let (height, results) = (frame.height, frame.results.len());
        let Kind::Try(before) = std::mem::replace(&mut frame.kind, Kind::Try(Try::Handler(None))) else {
            unreachable!("validated: a handler belongs to a try")
        };
        if self.dead.is_none() {
            self.charge(results)?;
            let exit = self.target(0);
            self.jump(exit, results);
        }
        self.stack.truncate(height);
        self.dead = None;
        let exception = match before {
            Try::Body(Some(landing)) => {
                self.e.b.seal_block(landing);
                self.e.b.switch_to_block(landing);
                Some(self.e.load_exception())
            }
            Try::Handler(Some((exception, Some(next)))) => {
                self.e.b.switch_to_block(next);
                Some(exception)
            }
            _ => None,
        };
        let Some(exception) = exception else {
            // Nothing gets here.
            self.set_dead();
            return Ok(());
        };
        let next = match tag {
            Some(tag) => Some(self.match_tag(exception, tag)?),
            None => {
                self.caught();
                None
            }
        };
        self.frame(0).kind = Kind::Try(Try::Handler(Some((exception, next))));
        Ok(())
    }

    /// `delegate`: what is thrown in the `try` before is caught where the label's block would catch it.
    pub(super) fn delegate(&mut self, depth: u32) -> Result<(), CompileError> {
        let frame = self.frame(0);
        let (height, results) = (frame.height, frame.results.len());
        if let Kind::Try(Try::Body(landing)) = &mut frame.kind
            && let Some(landing) = landing.take()
        {
            if self.dead.is_none() {
                self.charge(results)?;
                let exit = self.target(0);
                self.jump(exit, results);
            }
            self.stack.truncate(height);
            self.e.b.seal_block(landing);
            self.e.b.switch_to_block(landing);
            let outer = self.landing(depth as usize + 1);
            self.e.b.ins().jump(outer, &[]);
            self.set_dead();
        }
        self.end()
    }

    /// The function's own landing, behind all of its code: the exception goes on to the caller.
    pub(super) fn end_landing(&mut self) {
        let Some(landing) = self.landing.take() else { return };
        self.e.b.seal_block(landing);
        self.e.b.switch_to_block(landing);
        self.values.clear();
        if results_in_registers(self.ty) {
            for at in 0..self.ty.results.len() {
                let value = match clif_type(self.ty.results[at]) {
                    F32 => self.ins().f32const(0.0),
                    F64 => self.ins().f64const(0.0),
                    I8X16 => self.vector_constant(&[0; 16]),
                    ty => self.ins().iconst(ty, 0),
                };
                self.values.push(value);
            }
        }
        self.e.return_(self.values);
    }
}
