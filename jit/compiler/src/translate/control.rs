//! Blocks and branches.
//!
//! The Cranelift block behind an `end` is made when the first branch needs it; most blocks are never branched to, and then
//! code goes on where it was.

use super::exception::Try;
use super::{MAX_NESTING, MAX_TABLE_ENTRIES, TABLE_ENTRY_VALUES, Translator};
use crate::emit::{Environment, clif_type};
use crate::error::CompileError;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, BlockCall, Inst, InstBuilder, JumpTableData, Value};
use std::collections::HashMap;
use wasmparser::{BlockType, BrTable};
use wave_contract::abi::results_in_registers;
use wave_contract::types::{FuncType, ValType};

/// One entry of the control stack.
pub(super) struct Frame<'m> {
    pub(super) kind: Kind,
    params: &'m [ValType],
    pub(super) results: &'m [ValType],
    /// Height of the operand stack below the parameters.
    pub(super) height: usize,
    /// Where code goes on behind `end`, once something branches there.
    exit: Option<Block>,
}

pub(super) enum Kind {
    Function,
    Block,
    Loop(Block),
    /// Before an `else`.
    If(Otherwise),
    /// Behind an `else`.
    Else,
    /// Catches exceptions, or handles one.
    Try(Try),
}

/// Where an `if` goes when its condition is 0.
pub(super) enum Otherwise {
    /// To the exit, by this branch: without parameters and results there may be no `else`. With a hint that it is unlikely.
    Exit(Inst, Unlikely),
    /// To this block, with these parameters.
    Block(Block, Vec<Value>),
}

/// Whether a hint says that a block is hardly ever entered.
type Unlikely = bool;

impl<'m> Frame<'m> {
    /// The outermost frame.
    pub(super) fn function(ty: &'m FuncType) -> Self {
        Self { kind: Kind::Function, params: &[], results: &ty.results, height: 0, exit: None }
    }

    /// What a branch to this frame carries.
    fn label(&self) -> &'m [ValType] {
        match self.kind {
            Kind::Loop(_) => self.params,
            _ => self.results,
        }
    }
}

/// Parameters and results of a block.
fn signature<'m>(env: &'m Environment<'m>, ty: BlockType) -> Result<(&'m [ValType], &'m [ValType]), CompileError> {
    Ok(match ty {
        BlockType::Empty => (&[], &[]),
        BlockType::Type(ty) => (&[], single(crate::module::val_type(ty)?)),
        BlockType::FuncType(index) => {
            let ty = env.ty(index);
            (&ty.params, &ty.results)
        }
    })
}

const fn single(ty: ValType) -> &'static [ValType] {
    match ty {
        ValType::I32 => &[ValType::I32],
        ValType::I64 => &[ValType::I64],
        ValType::F32 => &[ValType::F32],
        ValType::F64 => &[ValType::F64],
        ValType::V128 => &[ValType::V128],
        ValType::FuncRef => &[ValType::FuncRef],
        // Code treats all references the same.
        ValType::ExternRef | ValType::Ref(_) => &[ValType::ExternRef],
    }
}

impl<'e> Translator<'e, '_> {
    /// From here on nothing is reachable until a block ends that was branched to.
    pub(super) fn set_dead(&mut self) {
        self.dead = Some(0);
    }

    pub(super) fn frame(&mut self, depth: u32) -> &mut Frame<'e> {
        let at = self.frames.len().checked_sub(depth as usize + 1).expect("validated: the label exists");
        &mut self.frames[at]
    }

    fn block_with(&mut self, types: &[ValType]) -> Block {
        let block = self.e.b.create_block();
        for &ty in types {
            self.e.b.append_block_param(block, clif_type(ty));
        }
        block
    }

    /// The Cranelift block that a branch goes to.
    pub(super) fn target(&mut self, depth: u32) -> Block {
        let frame = self.frame(depth);
        match (&frame.kind, frame.exit) {
            (&Kind::Loop(header), _) => header,
            (_, Some(exit)) => exit,
            (_, None) => {
                let results = frame.results;
                let exit = self.block_with(results);
                self.frame(depth).exit = Some(exit);
                exit
            }
        }
    }

    /// Jumps with the top `count` values.
    pub(super) fn jump(&mut self, target: Block, count: usize) {
        self.collect_branch(count);
        self.e.b.ins().jump(target, self.branch.iter());
        self.set_dead();
    }

    /// Settles the top `count` values and copies them to `self.branch`.
    fn collect_branch(&mut self, count: usize) {
        let height = self.settle_top(count);
        self.branch.clear();
        self.branch.extend(self.stack[height..].iter().map(|&value| BlockArg::Value(value)));
    }

    /// Continues in a block whose parameters are what lies on the stack above `height`.
    fn enter(&mut self, block: Block, height: usize) {
        self.e.b.switch_to_block(block);
        self.stack.truncate(height);
        self.stack.extend_from_slice(self.e.b.block_params(block));
        self.dead = None;
    }

    /// The parameters and results of a block that can be opened.
    fn opened(&mut self, ty: BlockType) -> Result<(&'e [ValType], &'e [ValType]), CompileError> {
        let (params, results) = signature(self.e.env, ty)?;
        self.charge(params.len() + results.len() + 1)?;
        if self.frames.len() > MAX_NESTING {
            return Err(self.unsupported(format!("blocks nested more than {MAX_NESTING} deep")));
        }
        Ok((params, results))
    }

    /// Opens a block that code just goes on into.
    pub(super) fn open_kind(&mut self, kind: Kind, ty: BlockType) -> Result<(), CompileError> {
        let (params, results) = self.opened(ty)?;
        let height = self.settle_top(params.len());
        self.frames.push(Frame { kind, params, results, height, exit: None });
        Ok(())
    }

    pub(super) fn open(&mut self, kind_of: Opening, ty: BlockType) -> Result<(), CompileError> {
        let (params, results) = self.opened(ty)?;
        let condition = matches!(kind_of, Opening::If).then(|| self.pop_raw());
        let height = self.settle_top(params.len());
        let mut exit = None;
        let kind = match condition {
            None if matches!(kind_of, Opening::Loop) => {
                let header = self.block_with(params);
                self.jump(header, params.len());
                self.enter(header, height);
                self.loops += 1;
                Kind::Loop(header)
            }
            None => Kind::Block,
            Some(condition) => {
                let then = self.e.b.create_block();
                let otherwise = self.e.b.create_block();
                let branch = self.e.b.ins().brif(condition, then, &[], otherwise, &[]);
                let likely = self.hint();
                if likely == Some(false) {
                    self.e.b.set_cold_block(then);
                }
                let otherwise = if params.is_empty() && results.is_empty() {
                    exit = Some(otherwise);
                    Otherwise::Exit(branch, likely == Some(true))
                } else {
                    if likely == Some(true) {
                        self.e.b.set_cold_block(otherwise);
                    }
                    self.e.b.seal_block(otherwise);
                    Otherwise::Block(otherwise, self.stack[height..].to_vec())
                };
                self.e.b.seal_block(then);
                self.e.b.switch_to_block(then);
                Kind::If(otherwise)
            }
        };
        self.frames.push(Frame { kind, params, results, height, exit });
        Ok(())
    }

    /// `else`: the frame on top is an `if`.
    pub(super) fn otherwise(&mut self) {
        if self.dead.is_none() {
            let target = self.target(0);
            let count = self.frame(0).results.len();
            self.jump(target, count);
        }
        let frame = self.frame(0);
        let Kind::If(otherwise) = std::mem::replace(&mut frame.kind, Kind::Else) else {
            unreachable!("validated: else belongs to an if")
        };
        let height = frame.height;
        let exit = frame.exit;
        self.stack.truncate(height);
        let block = match otherwise {
            Otherwise::Block(block, params) => {
                self.stack.extend(params);
                block
            }
            Otherwise::Exit(branch, unlikely) => {
                let block = self.e.b.create_block();
                if unlikely {
                    self.e.b.set_cold_block(block);
                }
                let exit = exit.expect("the branch goes to it");
                self.e.b.change_jump_destination(branch, exit, block);
                self.e.b.seal_block(block);
                block
            }
        };
        self.e.b.switch_to_block(block);
        self.dead = None;
    }

    /// `end` of a frame that was opened in reachable code.
    pub(super) fn end(&mut self) -> Result<(), CompileError> {
        let frame = self.frame(0);
        let (height, results) = (frame.height, frame.results);
        self.charge(results.len())?;
        match &mut self.frame(0).kind {
            Kind::Loop(header) => {
                let header = *header;
                self.e.b.seal_block(header);
                self.loops -= 1;
            }
            // Without an `else`, parameters are the results.
            Kind::If(Otherwise::Block(block, params)) => {
                let (block, params) = (*block, std::mem::take(params));
                let exit = self.target(0);
                if self.dead.is_none() {
                    self.jump(exit, results.len());
                }
                self.stack.truncate(height);
                self.stack.extend(params);
                self.e.b.switch_to_block(block);
                self.jump(exit, results.len());
            }
            Kind::Try(caught) => {
                let caught = std::mem::replace(caught, Try::Handler(None));
                self.end_try(caught, height, results.len())?;
            }
            Kind::Function | Kind::Block | Kind::If(Otherwise::Exit(..)) | Kind::Else => {}
        }
        if let Some(exit) = self.frame(0).exit {
            if self.dead.is_none() {
                self.jump(exit, results.len());
            }
            self.e.b.seal_block(exit);
            self.enter(exit, height);
        }
        let frame = self.frames.pop().expect("validated: a frame is open");
        if matches!(frame.kind, Kind::Function) && self.dead.is_none() {
            self.return_();
        }
        Ok(())
    }

    pub(super) fn br(&mut self, depth: u32) -> Result<(), CompileError> {
        let frame = self.frame(depth);
        let count = frame.label().len();
        if matches!(frame.kind, Kind::Function) {
            self.charge(count)?;
            self.return_();
            return Ok(());
        }
        self.charge(count)?;
        let target = self.target(depth);
        self.jump(target, count);
        Ok(())
    }

    pub(super) fn br_if(&mut self, depth: u32) -> Result<(), CompileError> {
        let condition = self.pop_raw();
        let count = self.frame(depth).label().len();
        self.charge(count + 1)?;
        let target = self.target(depth);
        self.collect_branch(count);
        let next = self.e.b.create_block();
        match self.hint() {
            // Others may come to the target often: what is unlikely is the way there.
            Some(false) => {
                let way = self.e.b.create_block();
                self.e.b.set_cold_block(way);
                self.e.b.ins().brif(condition, way, &[], next, &[]);
                self.e.b.seal_block(way);
                self.e.b.switch_to_block(way);
                self.e.b.ins().jump(target, self.branch.iter());
            }
            hint => {
                if hint == Some(true) {
                    self.e.b.set_cold_block(next);
                }
                self.e.b.ins().brif(condition, target, self.branch.iter(), next, &[]);
            }
        }
        self.e.b.seal_block(next);
        self.e.b.switch_to_block(next);
        Ok(())
    }

    /// `br_on_null`: branches without the reference if it is null, and keeps it otherwise.
    pub(super) fn br_on_null(&mut self, depth: u32) -> Result<(), CompileError> {
        let reference = self.pop();
        let null = self.ins().icmp_imm_u(IntCC::Equal, reference, 0);
        self.push(null);
        self.br_if(depth)?;
        self.push(reference);
        Ok(())
    }

    /// `br_on_non_null`: branches with the reference if it is not null, and drops it otherwise.
    pub(super) fn br_on_non_null(&mut self, depth: u32) -> Result<(), CompileError> {
        let reference = self.pop();
        self.push(reference);
        let present = self.ins().icmp_imm_u(IntCC::NotEqual, reference, 0);
        self.push(present);
        self.br_if(depth)?;
        self.pop();
        Ok(())
    }

    /// Whether the condition of the current operator is likely to hold, if the module says so.
    fn hint(&self) -> Option<bool> {
        self.hints.at(self.offset_in_body)
    }

    pub(super) fn br_table(&mut self, table: &BrTable<'_>) -> Result<(), CompileError> {
        let default = table.default();
        let mut depths = table.targets().collect::<Result<Vec<u32>, _>>()?;
        while depths.last() == Some(&default) {
            depths.pop();
        }
        if depths.len() > MAX_TABLE_ENTRIES {
            return Err(self.unsupported(format!("br_table with {} entries", depths.len())));
        }
        self.charge(depths.len() * TABLE_ENTRY_VALUES)?;
        let index = self.pop();
        if depths.is_empty() {
            return self.br(default);
        }
        let mut uses: HashMap<u32, u32> = HashMap::new();
        for &depth in depths.iter().chain([&default]) {
            *uses.entry(depth).or_default() += 1;
        }
        let count = self.frame(default).label().len();
        self.charge(count.saturating_mul(uses.len()))?;
        self.collect_branch(count);

        // A target that several entries share gets a block of its own to go through, or each entry would carry the
        // arguments and whatever locals the target needs.
        let mut shared: HashMap<u32, Block> = HashMap::new();
        let mut order = Vec::new();
        let mut call = |this: &mut Self, depth: u32| -> BlockCall {
            if uses.get(&depth) == Some(&1) {
                let target = this.target(depth);
                return this.e.b.func.dfg.block_call(target, this.branch.iter());
            }
            let block = *shared.entry(depth).or_insert_with(|| {
                let block = this.e.b.create_block();
                order.push((depth, block));
                block
            });
            this.e.b.func.dfg.block_call(block, &[])
        };
        let default = call(self, default);
        let entries: Vec<BlockCall> = depths.iter().map(|&depth| call(self, depth)).collect();
        let table = self.e.b.create_jump_table(JumpTableData::new(default, &entries));
        self.e.b.ins().br_table(index, table);
        for (depth, block) in order {
            let target = self.target(depth);
            self.e.b.seal_block(block);
            self.e.b.switch_to_block(block);
            self.e.b.ins().jump(target, self.branch.iter());
        }
        self.set_dead();
        Ok(())
    }

    /// Returns from the function with the values on top of the stack.
    pub(super) fn return_(&mut self) {
        let height = self.settle_top(self.ty.results.len());
        let values = &self.stack[height..];
        if results_in_registers(self.ty) {
            self.e.return_(values);
        } else {
            self.e.store_results(values);
            self.e.return_(&[]);
        }
        self.set_dead();
    }
}

/// What opens a block.
pub(super) enum Opening {
    Block,
    Loop,
    If,
}
