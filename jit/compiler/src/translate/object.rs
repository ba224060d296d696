//! Objects: structures, arrays, `i31`, and casts.
//!
//! Every access is one of the heap, which is a linear memory: a reference that is none, a wrong cast or a wrong length leads to other bytes
//! of the heap, and never out of it.

use super::Translator;
use super::memory::Extend;
use crate::emit::{clif_type, trap_code};
use crate::error::CompileError;
use crate::objects::Objects;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use wasmparser::{HeapType as WasmHeapType, Operator, RefType as WasmRefType};
use wave_contract::collector::{Descriptor, ELEMENTS, HEADER, LENGTH, NEXT_FREE, class_of};
use wave_contract::libcall::Libcall;
use wave_contract::object::{ArrayLayout, HOST_BITS, I31_BIT, NO_OBJECT_BITS, StructLayout, size};
use wave_contract::trap::TrapCode;
use wave_contract::types::{CompositeType, FieldType, HeapType, Hierarchy, RefType, StorageType, ValType};

/// How many elements `array.new_fixed` can have: the validator's limit.
const MAX_FIXED: u32 = 10_000;

/// Where a value of a reference type is told apart.
#[derive(Clone, Copy)]
enum Test {
    /// No value but null.
    Nothing,
    /// Any value but null.
    Anything,
    /// `i31`.
    I31,
    /// `i31` and objects.
    Eq,
    /// Objects, by whether they are arrays.
    Kind { array: bool },
    /// Objects of a type, by its index.
    Object(u32),
    /// Functions of a type, by its index.
    Function(u32),
}

impl<'e> Translator<'e, '_> {
    /// Translates an operator of garbage-collected objects. False for any other.
    pub(super) fn object(&mut self, operator: &Operator<'_>) -> Result<bool, CompileError> {
        match *operator {
            Operator::StructNew { struct_type_index } => self.struct_new(struct_type_index, false)?,
            Operator::StructNewDefault { struct_type_index } => self.struct_new(struct_type_index, true)?,
            Operator::StructGet { struct_type_index, field_index }
            | Operator::StructGetU { struct_type_index, field_index } => {
                self.struct_get(struct_type_index, field_index, Extend::Unsigned)?;
            }
            Operator::StructGetS { struct_type_index, field_index } => {
                self.struct_get(struct_type_index, field_index, Extend::Signed)?;
            }
            Operator::StructSet { struct_type_index, field_index } => {
                self.struct_set(struct_type_index, field_index)?
            }
            Operator::ArrayNew { array_type_index } => self.array_new(array_type_index, false)?,
            Operator::ArrayNewDefault { array_type_index } => self.array_new(array_type_index, true)?,
            Operator::ArrayNewFixed { array_type_index, array_size } => {
                self.array_new_fixed(array_type_index, array_size)?;
            }
            Operator::ArrayNewData { array_type_index, array_data_index } => {
                self.array_new_from(array_type_index, Segment::Data(array_data_index))?;
            }
            Operator::ArrayNewElem { array_type_index, array_elem_index } => {
                self.array_new_from(array_type_index, Segment::Elements(array_elem_index))?;
            }
            Operator::ArrayGet { array_type_index } | Operator::ArrayGetU { array_type_index } => {
                self.array_get(array_type_index, Extend::Unsigned)?;
            }
            Operator::ArrayGetS { array_type_index } => self.array_get(array_type_index, Extend::Signed)?,
            Operator::ArraySet { array_type_index } => self.array_set(array_type_index)?,
            Operator::ArrayLen => {
                let array = self.pop_present(TrapCode::NullArray);
                let len = self.array_len(array);
                self.push(len);
            }
            Operator::ArrayFill { array_type_index } => self.array_fill(array_type_index)?,
            Operator::ArrayCopy { array_type_index_dst, .. } => self.array_copy(array_type_index_dst)?,
            Operator::ArrayInitData { array_type_index, array_data_index } => {
                self.array_init(array_type_index, Segment::Data(array_data_index))?;
            }
            Operator::ArrayInitElem { array_type_index, array_elem_index } => {
                self.array_init(array_type_index, Segment::Elements(array_elem_index))?;
            }
            Operator::RefTestNonNull { hty } => self.ref_test(hty, false)?,
            Operator::RefTestNullable { hty } => self.ref_test(hty, true)?,
            Operator::RefCastNonNull { hty } => self.ref_cast(hty, false)?,
            Operator::RefCastNullable { hty } => self.ref_cast(hty, true)?,
            Operator::BrOnCast { relative_depth, to_ref_type, .. } => {
                self.br_on_cast(relative_depth, to_ref_type, true)?;
            }
            Operator::BrOnCastFail { relative_depth, to_ref_type, .. } => {
                self.br_on_cast(relative_depth, to_ref_type, false)?;
            }
            Operator::RefI31 | Operator::RefI31Shared => {
                let number = self.pop();
                let shifted = self.ins().ishl_imm_u(number, 1);
                let reference = self.ins().bor_imm_u(shifted, i64::from(I31_BIT));
                self.push(reference);
            }
            Operator::I31GetS => {
                let reference = self.pop_present(TrapCode::NullI31);
                let number = self.ins().sshr_imm_u(reference, 1);
                self.push(number);
            }
            Operator::I31GetU => {
                let reference = self.pop_present(TrapCode::NullI31);
                let number = self.ins().ushr_imm_u(reference, 1);
                self.push(number);
            }
            Operator::RefEq => {
                let (left, right) = self.pop2();
                let equal = self.ins().icmp(IntCC::Equal, left, right);
                self.push(equal);
            }
            // One form for both.
            Operator::AnyConvertExtern | Operator::ExternConvertAny => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn missing(&self, what: &str) -> CompileError {
        self.unsupported(format!("{what} without its type"))
    }

    fn fields(&self, ty: u32) -> Result<&'e [FieldType], CompileError> {
        match self.e.env.info.types.get(ty as usize).map(|ty| &ty.composite) {
            Some(CompositeType::Struct(fields)) => Ok(fields),
            _ => Err(self.missing("structure")),
        }
    }

    fn structure(&self, ty: u32) -> Result<&'e StructLayout, CompileError> {
        let objects = self.e.env.objects;
        objects.and_then(|objects| objects.structure(ty)).ok_or_else(|| self.missing("structure"))
    }

    fn element(&self, ty: u32) -> Result<FieldType, CompileError> {
        match self.e.env.info.types.get(ty as usize).map(|ty| &ty.composite) {
            Some(CompositeType::Array(element)) => Ok(*element),
            _ => Err(self.missing("array")),
        }
    }

    /// Takes a reference that must not be null.
    fn pop_present(&mut self, code: TrapCode) -> Value {
        let reference = self.pop();
        self.ins().trapz(reference, trap_code(code));
        reference
    }

    /// Reads from the heap.
    fn heap_load(&mut self, object: Value, offset: u32) -> Result<Value, CompileError> {
        self.field_load(object, offset, StorageType::Value(ValType::I32), Extend::Unsigned)
    }

    fn field_load(
        &mut self,
        object: Value,
        at: u32,
        field: StorageType,
        extend: Extend,
    ) -> Result<Value, CompileError> {
        let heap = self.heap()?;
        let (base, offset) = self.e.heap_address(heap, object, u64::from(at), size(field));
        let flags = self.e.heap();
        Ok(match field {
            StorageType::I8 => self.load_extended(I32, I8, extend, base, offset),
            StorageType::I16 => self.load_extended(I32, I16, extend, base, offset),
            StorageType::Value(ty) => self.ins().load(clif_type(ty), flags, base, offset),
        })
    }

    fn field_store(&mut self, object: Value, at: u32, field: StorageType, value: Value) -> Result<(), CompileError> {
        let heap = self.heap()?;
        let (base, offset) = self.e.heap_address(heap, object, u64::from(at), size(field));
        let flags = self.e.heap();
        match field {
            StorageType::I8 => self.ins().istore8(flags, value, base, offset),
            StorageType::I16 => self.ins().istore16(flags, value, base, offset),
            StorageType::Value(_) => self.ins().store(flags, value, base, offset),
        };
        Ok(())
    }

    fn heap_store(&mut self, object: Value, offset: u32, value: Value) -> Result<(), CompileError> {
        self.field_store(object, offset, StorageType::Value(ValType::I32), value)
    }

    fn heap(&self) -> Result<u32, CompileError> {
        self.e.env.info.heap.ok_or_else(|| self.unsupported("object in a module without a type of objects"))
    }

    /// The default value of a field.
    fn default_of(&mut self, storage: StorageType) -> Value {
        match storage {
            StorageType::I8 | StorageType::I16 => self.zero(I32),
            StorageType::Value(ty) => self.zero(clif_type(ty)),
        }
    }

    /// The offset of a type's descriptor.
    fn descriptor(&mut self, ty: u32) -> Result<Value, CompileError> {
        let global = self.e.env.objects.and_then(|objects| objects.descriptor(ty));
        let global = global.ok_or_else(|| self.missing("object"))?;
        Ok(self.e.load_global(global, ValType::I32))
    }

    /// A new object, with its header. The rest of it is whatever was there.
    fn allocate(&mut self, ty: u32, bytes: u32) -> Result<Value, CompileError> {
        let descriptor = self.descriptor(ty)?;
        let Some(class) = class_of(bytes) else {
            let bytes = self.ins().iconst(I32, i64::from(bytes));
            return self.allocate_bytes(descriptor, bytes);
        };
        let nowhere = self.ins().iconst(I32, 0);
        let list = class.free_list();
        let cell = self.heap_load(nowhere, list)?;
        let [full, free, done] = [(); 3].map(|()| self.e.b.create_block());
        let object = self.e.b.append_block_param(done, I32);
        self.e.b.set_cold_block(full);
        self.e.b.ins().brif(cell, free, &[], full, &[]);
        self.e.b.seal_block(free);
        self.e.b.seal_block(full);

        self.e.b.switch_to_block(full);
        let bytes = self.ins().iconst(I32, i64::from(bytes));
        let new = self.allocate_bytes(descriptor, bytes)?;
        self.ins().jump(done, &[new.into()]);

        self.e.b.switch_to_block(free);
        let next = self.heap_load(cell, NEXT_FREE)?;
        self.heap_store(nowhere, list, next)?;
        self.heap_store(cell, HEADER, descriptor)?;
        self.ins().jump(done, &[cell.into()]);

        self.e.b.seal_block(done);
        self.e.b.switch_to_block(done);
        Ok(object)
    }

    /// Calls the collector for an object of a size (I32). Traps if there is no room.
    fn allocate_bytes(&mut self, descriptor: Value, bytes: Value) -> Result<Value, CompileError> {
        let allocate = self.e.env.objects.map(Objects::allocate);
        let allocate = allocate.ok_or_else(|| self.missing("object"))?;
        self.values.clear();
        self.e.leading_arguments(self.e.context(), self.values);
        self.values.extend([descriptor, bytes]);
        let callee = self.e.function(allocate);
        let call = self.e.b.ins().call(callee, self.values);
        let object = self.e.b.inst_results(call)[0];
        self.ins().trapz(object, trap_code(TrapCode::HeapFull));
        Ok(object)
    }

    fn struct_new(&mut self, ty: u32, default: bool) -> Result<(), CompileError> {
        let fields = self.fields(ty)?;
        self.charge(fields.len() + 1)?;
        let layout = self.structure(ty)?;
        let object = self.allocate(ty, layout.size)?;
        let height = if default { self.stack.len() } else { self.settle_top(fields.len()) };
        for (index, (field, &offset)) in fields.iter().zip(&layout.fields).enumerate() {
            let value = if default { self.default_of(field.storage) } else { self.stack[height + index] };
            self.field_store(object, offset, field.storage, value)?;
        }
        self.stack.truncate(height);
        self.push(object);
        Ok(())
    }

    /// What a field holds, and where it is.
    fn field(&self, ty: u32, field: u32) -> Result<(StorageType, u32), CompileError> {
        let at = field as usize;
        let storage = self.fields(ty)?.get(at).map(|field| field.storage);
        let offset = self.structure(ty)?.fields.get(at).copied();
        storage.zip(offset).ok_or_else(|| self.missing("field"))
    }

    fn struct_get(&mut self, ty: u32, field: u32, extend: Extend) -> Result<(), CompileError> {
        let (storage, offset) = self.field(ty, field)?;
        let object = self.pop_present(TrapCode::NullStruct);
        let value = self.field_load(object, offset, storage, extend)?;
        self.push(value);
        Ok(())
    }

    fn struct_set(&mut self, ty: u32, field: u32) -> Result<(), CompileError> {
        let (storage, offset) = self.field(ty, field)?;
        let value = self.pop();
        let object = self.pop_present(TrapCode::NullStruct);
        self.field_store(object, offset, storage, value)
    }

    fn array_len(&mut self, array: Value) -> Value {
        // A module that names no type of arrays has none, and then this is never reached.
        match self.heap_load(array, LENGTH) {
            Ok(len) => len,
            Err(_) => self.ins().iconst(I32, 0),
        }
    }

    /// A new array with room for `len` (I32) elements, which are whatever was there.
    fn allocate_array(&mut self, ty: u32, layout: ArrayLayout, len: Value) -> Result<Value, CompileError> {
        let too_long = self.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, len, i64::from(layout.max_len()));
        self.ins().trapnz(too_long, trap_code(TrapCode::ObjectTooLarge));
        let elements = self.ins().ishl_imm_u(len, i64::from(layout.log2));
        let bytes = self.ins().iadd_imm_u(elements, i64::from(ELEMENTS));
        let descriptor = self.descriptor(ty)?;
        let array = self.allocate_bytes(descriptor, bytes)?;
        self.heap_store(array, LENGTH, len)?;
        Ok(array)
    }

    fn array_new(&mut self, ty: u32, default: bool) -> Result<(), CompileError> {
        let element = self.element(ty)?;
        let layout = ArrayLayout::new(element);
        let len = self.pop();
        let value = if default { self.default_of(element.storage) } else { self.pop() };
        let array = self.allocate_array(ty, layout, len)?;
        let start = self.ins().iconst(I32, 0);
        self.fill(array, layout, element.storage, start, len, value, default)?;
        self.push(array);
        Ok(())
    }

    fn array_new_fixed(&mut self, ty: u32, len: u32) -> Result<(), CompileError> {
        let element = self.element(ty)?;
        let layout = ArrayLayout::new(element);
        let size = layout.size(len).filter(|_| len <= MAX_FIXED);
        let size = size.ok_or_else(|| self.unsupported(format!("array.new_fixed of {len} elements")))?;
        self.charge(len as usize + 1)?;
        let array = self.allocate(ty, size)?;
        let count = self.ins().iconst(I32, i64::from(len));
        self.heap_store(array, LENGTH, count)?;
        let height = self.settle_top(len as usize);
        for index in 0..len {
            let value = self.stack[height + index as usize];
            self.field_store(array, ELEMENTS + (index << layout.log2), element.storage, value)?;
        }
        self.stack.truncate(height);
        self.push(array);
        Ok(())
    }

    fn array_new_from(&mut self, ty: u32, segment: Segment) -> Result<(), CompileError> {
        let layout = ArrayLayout::new(self.element(ty)?);
        let info = self.e.env.info;
        let most = match segment {
            Segment::Data(index) => info.data.get(index as usize).map_or(0, |data| data.bytes.len() >> layout.log2),
            Segment::Elements(index) => info.elements.get(index as usize).map_or(0, |segment| segment.items.len()),
        };
        let (start, len) = self.pop2();
        // More than the segment has is no reason to look for room: what copies it traps.
        let most = self.ins().iconst(I64, i64::try_from(most).unwrap_or(i64::MAX));
        let wide = self.ins().uextend(I64, len);
        let too_long = self.ins().icmp(IntCC::UnsignedGreaterThan, wide, most);
        let [none, all] = [0, -1].map(|bits| self.ins().iconst(I32, bits));
        let room = self.ins().select(too_long, none, len);
        let array = self.allocate_array(ty, layout, room)?;
        let copied = self.ins().select(too_long, all, len);
        let first = self.ins().iconst(I32, 0);
        self.copy_segment(array, layout, segment, first, start, copied)?;
        self.push(array);
        Ok(())
    }

    fn array_init(&mut self, ty: u32, segment: Segment) -> Result<(), CompileError> {
        let layout = ArrayLayout::new(self.element(ty)?);
        let (source, len) = self.pop2();
        let destination = self.pop();
        let array = self.pop_present(TrapCode::NullArray);
        self.check_range(array, destination, len);
        self.copy_segment(array, layout, segment, destination, source, len)
    }

    /// Copies part of a segment to a range of an array that exists.
    fn copy_segment(
        &mut self,
        array: Value,
        layout: ArrayLayout,
        segment: Segment,
        to: Value,
        from: Value,
        len: Value,
    ) -> Result<(), CompileError> {
        let to = self.element_offset(array, layout, to);
        let to = self.ins().iadd_imm_u(to, i64::from(ELEMENTS));
        let heap = self.heap()?;
        let height = self.stack.len();
        match segment {
            Segment::Data(segment) => {
                // What 32 bits cannot count is past the end of every segment.
                let wide = self.ins().uextend(I64, len);
                let bytes = self.ins().ishl_imm_u(wide, i64::from(layout.log2));
                let bytes = self.e.clamp(bytes);
                self.stack.extend([to, from, bytes]);
                self.libcall(Libcall::MemoryInit, &[segment, heap], 3);
            }
            Segment::Elements(segment) => {
                self.stack.extend([to, from, len]);
                self.libcall(Libcall::ArrayInit, &[segment], 3);
            }
        }
        debug_assert_eq!(self.stack.len(), height, "neither has a result");
        Ok(())
    }

    /// Traps unless the elements from `start` on are in an array: `len` of them.
    fn check_range(&mut self, array: Value, start: Value, len: Value) {
        let all = self.array_len(array);
        let [start, len, all] = [start, len, all].map(|value| self.ins().uextend(I64, value));
        let end = self.ins().iadd(start, len);
        let outside = self.ins().icmp(IntCC::UnsignedGreaterThan, end, all);
        self.ins().trapnz(outside, trap_code(TrapCode::ArrayOutOfBounds));
    }

    /// Offset of an element, as an array's offset is that of its header. Where an array's length is not believed, it may wrap: it
    /// stays in the heap.
    fn element_offset(&mut self, array: Value, layout: ArrayLayout, index: Value) -> Value {
        let index = self.ins().ishl_imm_u(index, i64::from(layout.log2));
        self.ins().iadd(array, index)
    }

    /// Takes index and array of an access: the offset to which that of the elements is added.
    fn pop_element(&mut self, layout: ArrayLayout) -> Value {
        let index = self.pop();
        let array = self.pop_present(TrapCode::NullArray);
        let len = self.array_len(array);
        let outside = self.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, index, len);
        self.ins().trapnz(outside, trap_code(TrapCode::ArrayOutOfBounds));
        self.element_offset(array, layout, index)
    }

    fn array_get(&mut self, ty: u32, extend: Extend) -> Result<(), CompileError> {
        let element = self.element(ty)?;
        let at = self.pop_element(ArrayLayout::new(element));
        let value = self.field_load(at, ELEMENTS, element.storage, extend)?;
        self.push(value);
        Ok(())
    }

    fn array_set(&mut self, ty: u32) -> Result<(), CompileError> {
        let element = self.element(ty)?;
        let value = self.pop();
        let at = self.pop_element(ArrayLayout::new(element));
        self.field_store(at, ELEMENTS, element.storage, value)
    }

    fn array_fill(&mut self, ty: u32) -> Result<(), CompileError> {
        let element = self.element(ty)?;
        let len = self.pop();
        let value = self.pop();
        let start = self.pop();
        let array = self.pop_present(TrapCode::NullArray);
        self.check_range(array, start, len);
        self.fill(array, ArrayLayout::new(element), element.storage, start, len, value, false)
    }

    /// Writes a value to a range of an array that exists.
    #[expect(clippy::too_many_arguments, reason = "a range, and what to write")]
    fn fill(
        &mut self,
        array: Value,
        layout: ArrayLayout,
        storage: StorageType,
        start: Value,
        len: Value,
        value: Value,
        zero: bool,
    ) -> Result<(), CompileError> {
        let at = self.element_offset(array, layout, start);
        let bytes = self.ins().ishl_imm_u(len, i64::from(layout.log2));
        if zero || storage == StorageType::I8 {
            let heap = self.heap()?;
            let to = self.ins().iadd_imm_u(at, i64::from(ELEMENTS));
            let byte = if zero { self.ins().iconst(I32, 0) } else { value };
            self.stack.extend([to, byte, bytes]);
            self.libcall(Libcall::MemoryFill, &[heap], 3);
            return Ok(());
        }
        if self.counts_fuel() {
            let units = self.ins().uextend(I64, len);
            self.take_fuel(units);
        }
        let end = self.ins().iadd(at, bytes);
        let [header, body, done] = [(); 3].map(|()| self.e.b.create_block());
        let at_header = self.e.b.append_block_param(header, I32);
        self.ins().jump(header, &[at.into()]);
        self.e.b.switch_to_block(header);
        let finished = self.ins().icmp(IntCC::Equal, at_header, end);
        self.e.b.ins().brif(finished, done, &[], body, &[]);
        self.e.b.seal_block(body);
        self.e.b.seal_block(done);
        self.e.b.switch_to_block(body);
        self.field_store(at_header, ELEMENTS, storage, value)?;
        let next = self.ins().iadd_imm_u(at_header, 1 << layout.log2);
        self.ins().jump(header, &[next.into()]);
        self.e.b.seal_block(header);
        self.e.b.switch_to_block(done);
        Ok(())
    }

    fn array_copy(&mut self, ty: u32) -> Result<(), CompileError> {
        let layout = ArrayLayout::new(self.element(ty)?);
        let len = self.pop();
        let from_start = self.pop();
        let from = self.pop();
        let start = self.pop();
        let to = self.pop();
        for array in [to, from] {
            self.ins().trapz(array, trap_code(TrapCode::NullArray));
        }
        self.check_range(to, start, len);
        self.check_range(from, from_start, len);
        let ends = [(to, start), (from, from_start)].map(|(array, start)| {
            let at = self.element_offset(array, layout, start);
            self.ins().iadd_imm_u(at, i64::from(ELEMENTS))
        });
        let bytes = self.ins().ishl_imm_u(len, i64::from(layout.log2));
        let heap = self.heap()?;
        self.stack.extend([ends[0], ends[1], bytes]);
        self.libcall(Libcall::MemoryCopy, &[heap, heap], 3);
        Ok(())
    }

    /// How values of a type are told apart from others of its hierarchy that are not null.
    fn test_of(&self, ty: WasmHeapType) -> Result<Test, CompileError> {
        let heap = crate::module::heap_type(ty).ok_or_else(|| self.missing("cast"))?;
        Ok(match heap {
            HeapType::None | HeapType::NoFunc | HeapType::NoExtern | HeapType::NoExn => Test::Nothing,
            HeapType::Any | HeapType::Func | HeapType::Extern | HeapType::Exn => Test::Anything,
            HeapType::I31 => Test::I31,
            HeapType::Eq => Test::Eq,
            HeapType::Struct => Test::Kind { array: false },
            HeapType::Array => Test::Kind { array: true },
            HeapType::Concrete(index) => {
                let ty = ValType::reference(RefType { nullable: true, heap });
                match self.e.env.info.hierarchy(ty) {
                    Some(Hierarchy::Func) => Test::Function(index),
                    _ => Test::Object(index),
                }
            }
        })
    }

    /// Whether a value is of a type, as I8. It may be null.
    fn is_of(&mut self, value: Value, ty: WasmHeapType, nullable: bool) -> Result<Value, CompileError> {
        let null = i64::from(nullable);
        match self.test_of(ty)? {
            Test::Nothing if nullable => Ok(self.ins().icmp_imm_u(IntCC::Equal, value, 0)),
            Test::Nothing => Ok(self.ins().iconst(I8, 0)),
            Test::Anything if nullable => Ok(self.ins().iconst(I8, 1)),
            Test::Anything => Ok(self.ins().icmp_imm_u(IntCC::NotEqual, value, 0)),
            Test::I31 => {
                let bit = self.ins().band_imm_u(value, i64::from(I31_BIT));
                let is = self.ins().icmp_imm_u(IntCC::NotEqual, bit, 0);
                if !nullable {
                    return Ok(is);
                }
                let is_null = self.ins().icmp_imm_u(IntCC::Equal, value, 0);
                Ok(self.ins().bor(is, is_null))
            }
            Test::Eq => {
                let bits = self.ins().band_imm_u(value, i64::from(NO_OBJECT_BITS));
                let is = self.ins().icmp_imm_u(IntCC::NotEqual, bits, i64::from(HOST_BITS));
                if nullable {
                    return Ok(is);
                }
                let present = self.ins().icmp_imm_u(IntCC::NotEqual, value, 0);
                Ok(self.ins().band(is, present))
            }
            Test::Function(index) => {
                let done = self.e.b.create_block();
                let result = self.e.b.append_block_param(done, I8);
                self.unless_null(value, null, done);
                let index = self.ins().iconst(I32, i64::from(index));
                let is = self.e.libcall(Libcall::FunctionIs, &[value, index]).ok_or_else(|| self.missing("cast"))?;
                let is = self.ins().icmp_imm_u(IntCC::NotEqual, is, 0);
                self.finish_test(done, is);
                Ok(result)
            }
            test @ (Test::Kind { .. } | Test::Object(_)) => {
                let done = self.e.b.create_block();
                let result = self.e.b.append_block_param(done, I8);
                self.unless_null(value, null, done);
                let bits = self.ins().band_imm_u(value, i64::from(NO_OBJECT_BITS));
                let no = self.ins().iconst(I8, 0);
                self.go_unless(bits, no, done);
                let is = match test {
                    // No variable of this module can hold an object.
                    _ if self.e.env.info.heap.is_none() => no,
                    Test::Object(index) => self.is_object_of(value, index, done)?,
                    Test::Kind { array } => {
                        let descriptor = self.heap_load(value, HEADER)?;
                        let kind = self.heap_load(descriptor, Descriptor::KIND)?;
                        self.ins().icmp_imm_u(if array { IntCC::NotEqual } else { IntCC::Equal }, kind, 0)
                    }
                    _ => no,
                };
                self.finish_test(done, is);
                Ok(result)
            }
        }
    }

    /// Leaves to `done` with `null` if a value is null.
    fn unless_null(&mut self, value: Value, null: i64, done: Block) {
        let result = self.ins().iconst(I8, null);
        let next = self.e.b.create_block();
        self.e.b.ins().brif(value, next, &[], done, &[result.into()]);
        self.e.b.seal_block(next);
        self.e.b.switch_to_block(next);
    }

    /// Leaves to `done` with `result` if a condition holds.
    fn go_unless(&mut self, condition: Value, result: Value, done: Block) {
        let next = self.e.b.create_block();
        self.e.b.ins().brif(condition, done, &[result.into()], next, &[]);
        self.e.b.seal_block(next);
        self.e.b.switch_to_block(next);
    }

    fn finish_test(&mut self, done: Block, result: Value) {
        self.ins().jump(done, &[result.into()]);
        self.e.b.seal_block(done);
        self.e.b.switch_to_block(done);
    }

    /// Whether an object is of a type. Leaves to `done` as soon as that is known.
    fn is_object_of(&mut self, object: Value, index: u32, done: Block) -> Result<Value, CompileError> {
        let info = self.e.env.info;
        let wanted = self.descriptor(index)?;
        let header = self.heap_load(object, HEADER)?;
        let same = self.ins().icmp(IntCC::Equal, header, wanted);
        let of = |index: u32| info.types.get(index as usize);
        if of(index).is_none_or(|ty| ty.is_final) {
            return Ok(same);
        }
        let yes = self.ins().iconst(I8, 1);
        self.go_unless(same, yes, done);
        // Supertypes are earlier types.
        let depth = std::iter::successors(of(index), |ty| of(ty.supertype?)).skip(1).fold(0u32, |depth, _| depth + 1);
        let depth_of_object = self.heap_load(header, Descriptor::DEPTH)?;
        let above = self.ins().icmp_imm_u(IntCC::UnsignedLessThan, depth_of_object, i64::from(depth));
        let no = self.ins().iconst(I8, 0);
        self.go_unless(above, no, done);
        let there = self.heap_load(header, Descriptor::SUPERTYPES + 4 * depth)?;
        Ok(self.ins().icmp(IntCC::Equal, there, wanted))
    }

    fn ref_test(&mut self, ty: WasmHeapType, nullable: bool) -> Result<(), CompileError> {
        let value = self.pop();
        let is = self.is_of(value, ty, nullable)?;
        self.push(is);
        Ok(())
    }

    fn ref_cast(&mut self, ty: WasmHeapType, nullable: bool) -> Result<(), CompileError> {
        let value = self.pop();
        let is = self.is_of(value, ty, nullable)?;
        self.ins().trapz(is, trap_code(TrapCode::CastFailure));
        self.push(value);
        Ok(())
    }

    /// `br_on_cast`, or with `on` false `br_on_cast_fail`: the reference stays either way.
    fn br_on_cast(&mut self, depth: u32, to: WasmRefType, on: bool) -> Result<(), CompileError> {
        let value = self.pop();
        let is = self.is_of(value, to.heap_type(), to.is_nullable())?;
        let condition = if on { is } else { self.ins().bxor_imm_u(is, 1) };
        self.push(value);
        self.push(condition);
        self.br_if(depth)
    }
}

/// Where elements come from.
#[derive(Clone, Copy)]
enum Segment {
    Data(u32),
    Elements(u32),
}
