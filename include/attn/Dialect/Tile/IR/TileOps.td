//===- TileOps.td - tiles in registers and shared memory ---*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_TILE_IR_TILEOPS_TD
#define ATTN_DIALECT_TILE_IR_TILEOPS_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let summary = "Tiles that the threads of a GPU block hold together";
  let description = [{
    The level between streams and threads. A value is one for the whole block: a
    tensor whose encoding says which thread holds which element in which
    register, so that `arith` and `math` work on tiles as they are, and loops
    carry them. What threads share lies in buffers of workgroup memory. There is
    an op only for what upstream has none for: positions, spreading, reductions,
    contractions, and movement between memories.

    `attn-stream-to-tiles` writes this level, `attn-distribute-tiles` turns it
    into a scalar program per thread.
  }];
  let cppNamespace = "::mlir::attn::tile";
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let dependentDialects = ["::mlir::gpu::GPUDialect"];
}

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

class Tile_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::mlir::attn::tile";
  let genSpecializedAttr = 0;
}

def Tile_Atom : Tile_Enum<"Atom", "how the lanes of a warp share a small tile", [
  I32EnumAttrCase<"Grid", 0, "grid">,
  I32EnumAttrCase<"MmaAcc", 1, "mma_acc">,
  I32EnumAttrCase<"MmaA", 2, "mma_a">,
  I32EnumAttrCase<"Grid64", 3, "grid64">,
  I32EnumAttrCase<"Mfma", 4, "mfma">,
  I32EnumAttrCase<"WmmaAcc", 5, "wmma_acc">,
  I32EnumAttrCase<"WmmaA", 6, "wmma_a">,
  I32EnumAttrCase<"WmmaHalves", 7, "wmma_halves">
]>;

def Tile_ReduceKind : Tile_Enum<"ReduceKind", "what tile.reduce computes", [
  I32EnumAttrCase<"Add", 0, "add">,
  I32EnumAttrCase<"Max", 1, "max">,
  I32EnumAttrCase<"Min", 2, "min">,
  I32EnumAttrCase<"Or", 3, "or">
]>;
def Tile_ReduceKindAttr : EnumAttr<Tile_Dialect, Tile_ReduceKind, "reduce_kind">;

def Tile_LayoutAttr : AttrDef<Tile_Dialect, "Layout"> {
  let mnemonic = "layout";
  let summary = "which thread holds which element of a matrix";
  let description = [{
    An atom, which is what one warp holds in one instruction, beside and above
    each other for the warps of the block, repeated until the tile is full:

    | atom | elements | lane l holds |
    | --- | --- | --- |
    | `grid` | 8 x 4 | (l div 4, l mod 4) |
    | `mma_acc` | 16 x 8 | (l div 4 + 0 or 8, 2 (l mod 4) + 0 or 1): accumulators of mma.sync m16n8 |
    | `mma_a` | 16 x 16 | (l div 4 + 0 or 8, 2 (l mod 4) + 0, 1, 8 or 9): left operands of mma.sync m16n8k16 |
    | `grid64` | 16 x 4 | (l div 4, l mod 4), l < 64 |
    | `mfma` | 16 x 16 | (l mod 16, 4 (l div 16) + 0 to 3), l < 64: v_mfma_f32_16x16x16, transposed |
    | `wmma_acc` | 16 x 16 | (l mod 16, l div 16 + 0, 2, ... or 14): accumulators of gfx11's v_wmma, transposed |
    | `wmma_a` | 16 x 16 | (l mod 16, 0 to 15), lanes l and l + 16 the same: its operands |
    | `wmma_halves` | 16 x 16 | (l mod 16, 8 (l div 16) + 0 to 7): v_wmma of gfx12, transposed |

    AMD's instructions multiply the transposed matrices, D^T = B^T A^T: then what
    a lane has of a sum is what it needs of the left operand of the next product,
    but on gfx11, where lanes exchange halves.

    `warps` are the warps of the block along both axes. Extents of tiles are
    multiples of atom times warps; they need be no powers of 2.

    ```mlir
    tensor<64x64xf32, #tile.layout<mma_acc, warps = [4, 1]>>
    ```
  }];
  let parameters = (ins EnumParameter<Tile_Atom>:$atom,
                        ArrayRefParameter<"int64_t">:$warps);
  let assemblyFormat = "`<` $atom `,` `warps` `=` `[` $warps `]` `>`";
  let genVerifyDecl = 1;
}

def Tile_SliceAttr : AttrDef<Tile_Dialect, "Slice"> {
  let mnemonic = "slice";
  let summary = "one value per row, or per column, of a matrix";
  let description = [{
    The layout of what is left of a matrix without axis `dim`: every thread that
    holds an element of a row holds the value of the row.
  }];
  let parameters = (ins "int64_t":$dim, "LayoutAttr":$parent);
  let assemblyFormat = "`<` $dim `,` $parent `>`";
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

class Tile_Op<string mnemonic, list<Trait> traits = []>
    : Op<Tile_Dialect, mnemonic, traits>;

def Tile_Tile : Type<CPred<"::mlir::attn::tile::isTile($_self)">,
                     "a tensor with the encoding of a tile", "::mlir::RankedTensorType">;
def Tile_IndexOrTile : AnyTypeOf<[Index, Tile_Tile]>;

def Tile_IotaOp : Tile_Op<"iota", [Pure]> {
  let summary = "the position of each element along an axis";
  let description = [{
    ```mlir
    %row = tile.iota 0 : tensor<64x32xindex, #layout>
    ```

    Constraints:
    * C1: elements are of index type, and the axis is one of the tile.
  }];
  let arguments = (ins I64Attr:$dim);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$dim attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Tile_SplatOp : Tile_Op<"splat", [Pure, TypesMatchWith<
    "the value is an element of the tile", "result", "value",
    "::mlir::getElementTypeOrSelf($_self)">]> {
  let summary = "one value everywhere";
  let arguments = (ins AnyType:$value);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Tile_SpreadOp : Tile_Op<"spread", [Pure]> {
  let summary = "the value of a row (column) in all of its elements";
  let description = [{
    Constraints:
    * C1: the operand is a slice of the result's layout, as long as the axis it keeps.
  }];
  let arguments = (ins Tile_Tile:$value);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_ReduceOp : Tile_Op<"reduce", [
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "sum, maximum, minimum or disjunction along an axis";
  let description = [{
    In the registers of a thread first, then over the lanes that share a row,
    then over the warps: what each of them has goes through a shared matrix with
    a row per warp, around which threads meet. A NaN wins a maximum or minimum;
    integers are signed.

    Constraints:
    * C1: the result is the slice of the operand's layout without the axis.
    * C2: one warp has the whole axis, or there is a shared matrix with a row for each that has a part of it, as long as the result.
  }];
  let arguments = (ins Tile_ReduceKindAttr:$kind, Tile_Tile:$value, I64Attr:$dim,
                       Optional<AnyMemRef>:$exchange);
  let results = (outs Tile_Tile:$result);
  let builders = [OpBuilder<(ins "::mlir::RankedTensorType":$type,
      "::mlir::attn::tile::ReduceKind":$kind, "::mlir::Value":$value, "int64_t":$dim), [{
    build($_builder, $_state, type, kind, value, dim, ::mlir::Value());
  }]>];
  let assemblyFormat = [{
    `` $kind $value `along` $dim (`through` $exchange^)? attr-dict
    `:` type($value) (`through` type($exchange)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_LoadOp : Tile_Op<"load", [AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "elements of a buffer at computed indices";
  let description = [{
    Indices are the same for all elements, or tiles like the result. Where
    `mask` does not hold, nothing is read and the result is 0.

    Constraints:
    * C1: as many indices as the buffer has axes; tiles have the result's shape and layout.
  }];
  let arguments = (ins AnyMemRef:$source, Variadic<Tile_IndexOrTile>:$indices,
                       Optional<Tile_Tile>:$mask);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = [{
    $source `[` $indices `]` (`if` $mask^)? attr-dict
    `:` type($source) `,` `(` type($indices) `)` (`if` type($mask)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_StoreOp : Tile_Op<"store", [AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "writes elements of a buffer at computed indices";
  let description = [{
    As `tile.load`. Elements that several threads hold are written by one.
  }];
  let arguments = (ins Tile_Tile:$value, AnyMemRef:$target,
                       Variadic<Tile_IndexOrTile>:$indices, Optional<Tile_Tile>:$mask);
  let assemblyFormat = [{
    $value `,` $target `[` $indices `]` (`if` $mask^)? attr-dict
    `:` type($value) `,` type($target) `,` `(` type($indices) `)` (`if` type($mask)^)?
  }];
  let hasVerifier = 1;
}

def Tile_ScatterOp : Tile_Op<"scatter", [AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "joins elements to those of a buffer at computed indices";
  let description = [{
    As `tile.store`, but the sum, maximum or minimum of what is there and the
    element takes its place, also where several elements have the same indices.
    Elements are joined in no particular order, and by atomic operations: others
    may read the buffer after a barrier if it is in shared memory, and after the
    kernel if it is not. A NaN wins a maximum or minimum; integers are signed.

    ```mlir
    tile.scatter add %x, %bins[%row, %bin] if %present
       : tensor<64x64xf32, #layout>, memref<64x24xf32, #gpu.address_space<workgroup>>,
         (tensor<64x64xindex, #layout>, tensor<64x64xindex, #layout>)
         if tensor<64x64xi1, #layout>
    ```

    Constraints:
    * C1: as many indices as the buffer has axes; tiles have the value's shape and layout.
    * C2: the kind is add, max or min, of floats or integers of 32 or 64 bits.
  }];
  let arguments = (ins Tile_ReduceKindAttr:$kind, Tile_Tile:$value,
                       AnyMemRef:$target, Variadic<Tile_IndexOrTile>:$indices,
                       Optional<Tile_Tile>:$mask);
  let assemblyFormat = [{
    `` $kind $value `,` $target `[` $indices `]` (`if` $mask^)? attr-dict
    `:` type($value) `,` type($target) `,` `(` type($indices) `)` (`if` type($mask)^)?
  }];
  let hasVerifier = 1;
}

def Tile_SharedOp : Tile_Op<"shared", [
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "a buffer that the threads of a block share";
  let description = [{
    A matrix in workgroup memory for the whole kernel, or a ring of several
    (`memref<3x64x72xbf16, ...>`), of which `tile.stage` gives one, or a channel
    one after the other. Rows may be
    longer than what is used of them: 16 bytes more put the rows that are read
    together into different banks. Buffers of which one is no longer used when
    another one comes into use may lie in the same place.

    Constraints:
    * C1: the buffer is in workgroup memory, has a static shape of two or three extents and the plain layout.
  }];
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Tile_StageOp : Tile_Op<"stage", [Pure, TypesMatchWith<
    "the result is a matrix of the ring", "ring", "result",
    "::mlir::attn::tile::getMatrix(::llvm::cast<::mlir::MemRefType>($_self))">]> {
  let summary = "one matrix of a ring";
  let description = [{
    ```mlir
    %now = tile.stage %ring[%stage] : memref<3x64x72xbf16, #gpu.address_space<workgroup>>
    ```

    Constraints:
    * C1: ring is a shared buffer of three extents; stage is less than the first one.
  }];
  let arguments = (ins AnyMemRef:$ring, Index:$stage);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "$ring `[` $stage `]` attr-dict `:` type($ring)";
  let hasVerifier = 1;
}

def Tile_VisitOp : Tile_Op<"visit", [AttrSizedOperandSegments, SingleBlock]> {
  let summary = "goes through the tiles along an axis";
  let description = [{
    For each `key` from `lower` to `upper` by `step`: where `needed` holds,
    `bring` moves what the tile reads to shared matrices, and `body` computes on
    them, from the values that it yielded for the tile before (`init` for the
    first) to the next ones. Threads meet between the two; neither needs to wait
    for anything.

    What is brought and what is computed on are arguments of the regions, so
    that tiles may be brought while others are computed on:
    `attn-pipeline-tiles` says how many there are.

    ```mlir
    %sum = tile.visit from %lower to %upper step 64
        rings(%k : memref<64x72xbf16, #gpu.address_space<workgroup>>) init(%zero : tensor<...>) needed {
    ^bb0(%key: index):
      tile.yield %true : i1
    } bring {
    ^bb0(%key: index, %now: memref<64x72xbf16, #gpu.address_space<workgroup>>):
      tile.copy %K[%b] rows(%key to %upper) columns(64 of 64), %now : ...
      tile.yield
    } body {
    ^bb0(%key: index, %now: memref<64x72xbf16, #gpu.address_space<workgroup>>, %sum: tensor<...>):
      ...
      tile.yield %next : tensor<...>
    } -> tensor<...>
    ```

    Constraints:
    * C1: rings are results of tile.shared with two extents.
    * C2: needed takes the key and yields one i1; bring takes the key and the rings; body takes these and the values, and yields values of the same types.
  }];
  let arguments = (ins Index:$lower, Index:$upper, I64Attr:$step,
                       Variadic<AnyMemRef>:$rings, Variadic<AnyType>:$inits);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$needed, SizedRegion<1>:$bring,
                        SizedRegion<1>:$body);
  let assemblyFormat = [{
    `from` $lower `to` $upper `step` $step (`rings` `(` $rings^ `:` type($rings) `)`)?
    (`init` `(` $inits^ `:` type($inits) `)`)?
    `needed` $needed `bring` $bring `body` $body attr-dict (`->` type($results)^)?
  }];
  let hasVerifier = 1;
}

def Tile_CopyOp : Tile_Op<"copy", [
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "rows of a buffer to shared memory";
  let description = [{
    Rows [first, first + R) of the matrix `source[indices]`, with `columns`
    elements each, to the R rows of `target`. Rows from `end` on, and columns of
    `target` from `columns` up to `padded`, are filled with zeros. Threads may
    read what they wrote themselves after `tile.arrive`, and what others wrote
    after a barrier that follows it; or the channel says when.

    Constraints:
    * C1: indices say everything but row and column.
    * C2: target is a shared matrix of the source's element type, with `padded` columns or more.
  }];
  let arguments = (ins AnyMemRef:$source, Variadic<Index>:$indices,
                       Index:$first, Index:$end, AnyMemRef:$target,
                       I64Attr:$columns, I64Attr:$padded);
  let assemblyFormat = [{
    $source `[` $indices `]` `rows` `(` $first `to` $end `)` `columns` `(` $columns `of` $padded `)`
    `,` $target attr-dict `:` type($source) `to` type($target)
  }];
  let hasVerifier = 1;
}

def Tile_FillOp : Tile_Op<"fill", [SingleBlock,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "computed rows to shared memory";
  let description = [{
    Element (r, c) of `target` is what `body` yields at them, for the first
    `rows` rows and `columns` columns; other rows, and columns up to `padded`,
    are filled with zeros. Each element is computed by one thread. Others may
    read it after a barrier.

    ```mlir
    tile.fill %n columns(80 of 80), %shared {
    ^bb0(%r: index, %c: index):
      %x = memref.load %k[%b, %r, %c] : memref<?x?x80xf32>
      tile.yield %x : f32
    } : memref<64x84xf32, #gpu.address_space<workgroup>>
    ```

    Constraints:
    * C1: target is a shared matrix with `padded` columns or more.
    * C2: body takes two indices and yields an element of target.
  }];
  let arguments = (ins Index:$rows, AnyMemRef:$target, I64Attr:$columns,
                       I64Attr:$padded);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $rows `columns` `(` $columns `of` $padded `)` `,` $target $body attr-dict
    `:` type($target)
  }];
  let hasVerifier = 1;
}

def Tile_YieldOp : Tile_Op<"yield", [
    Pure, Terminator, ParentOneOf<["FillOp", "CombineOp", "VisitOp"]>]> {
  let summary = "ends a region of tile.fill, tile.combine or tile.visit";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ::mlir::ValueRange()); }]>];
}

//===----------------------------------------------------------------------===//
// Channels
//===----------------------------------------------------------------------===//

class Tile_Type<string name, string mnemonicOfType>
    : TypeDef<Tile_Dialect, name> {
  let mnemonic = mnemonicOfType;
}

def Tile_ChannelType : Tile_Type<"Channel", "channel"> {
  let summary = "matrices on their way from those who bring them to those who read them";
}

def Tile_PositionType : Tile_Type<"Position", "position"> {
  let summary = "how far one side of a channel has come: a stage, and which time it is used";
  let description = [{
    Only `tile.channel`, `tile.commit` and `tile.release` make one, and loops
    carry it. A stage that is computed from the key of a loop breaks as soon as
    somebody peels off a tile.
  }];
}

def Tile_ChannelOp : Tile_Op<"channel"> {
  let summary = "a ring of stages, in which tiles are brought and read";
  let description = [{
    A stage has one matrix of each ring. It is brought between `tile.acquire` and
    `tile.commit`, at the position of one side, and read between `tile.wait` and
    `tile.release`, at that of the other; both begin at `first`, and a stage is
    acquired again when it has been released. With `depth` 1, what is asked for
    is waited for at once, which is the place to begin with when results are
    wrong.

    Where the same threads bring and read, and copies are asynchronous, what has
    been brought to a stage is a group of them (cp.async.commit_group); an empty
    one, if there was nothing to bring. Threads meet where they wait: that one
    barrier says both that all of them see the tile and that all are done with
    those released before.

    A channel that is made outside of `tile.roles` leads from its producer to its
    consumer. A stage of it has two barriers in shared memory (mbarriers): the
    producer arrives at one with its copies, and the consumer at the other when it
    is done. A position then also says which time its stage is used, of two that
    take turns: the parity of the phase that is waited for. Both sides skip the
    same tiles.

    ```mlir
    %channel, %first = tile.channel depth(3) rings(%ring : memref<3x64x72xbf16, #gpu.address_space<workgroup>>)
    %to = tile.acquire %channel[%p] : memref<64x72xbf16, #gpu.address_space<workgroup>>
    tile.copy %k[] rows(%key to %n) columns(64 of 64), %to : ...
    %p1 = tile.commit %channel[%p]
    %now = tile.wait %channel[%c] later(1) : memref<64x72xbf16, #gpu.address_space<workgroup>>
    ...
    %c1 = tile.release %channel[%c]
    ```

    Constraints:
    * C1: rings are results of tile.shared: rings of `depth` matrices, or matrices, if depth is 1.
    * C2: what is acquired is committed, and what is waited for released, at the same position and further on in the same block or in one around it.
  }];
  let arguments = (ins I64Attr:$depth, Variadic<AnyMemRef>:$rings);
  let results = (outs Tile_ChannelType:$channel, Tile_PositionType:$first);
  let assemblyFormat = "`depth` `(` $depth `)` `rings` `(` ($rings^ `:` type($rings))? `)` attr-dict";
  let builders = [OpBuilder<(ins "int64_t":$depth, "::mlir::ValueRange":$rings)>];
  let extraClassDeclaration = [{
    /// The matrices of one stage.
    ::llvm::SmallVector<::mlir::Type> getMatrixTypes();
    /// The roles that it is between; null if the same threads bring and read.
    RolesOp getRoles();
  }];
  let hasVerifier = 1;
}

def Tile_AcquireOp : Tile_Op<"acquire"> {
  let summary = "the matrices of a stage, to be written";
  let description = [{
    Constraints:
    * C1: the channel is a result of tile.channel, and the results are the matrices of a stage of it.
  }];
  let arguments = (ins Tile_ChannelType:$channel, Tile_PositionType:$position);
  let results = (outs Variadic<AnyMemRef>:$matrices);
  let assemblyFormat = "$channel `[` $position `]` attr-dict (`:` type($matrices)^)?";
  let builders = [OpBuilder<(ins "ChannelOp":$channel, "::mlir::Value":$position)>];
  let hasVerifier = 1;
}

def Tile_CommitOp : Tile_Op<"commit"> {
  let summary = "hands over what has been brought to a stage, which may be nothing";
  let arguments = (ins Tile_ChannelType:$channel, Tile_PositionType:$position);
  let results = (outs Tile_PositionType:$next);
  let assemblyFormat = "$channel `[` $position `]` attr-dict";
  let builders = [OpBuilder<(ins "ChannelOp":$channel, "::mlir::Value":$position), [{
    build($_builder, $_state, PositionType::get($_builder.getContext()), channel.getChannel(), position);
  }]>];
  let hasVerifier = 1;
}

def Tile_WaitOp : Tile_Op<"wait"> {
  let summary = "the matrices of a stage, when they have been brought";
  let description = [{
    At most `later` stages have been committed after this one. Where `needed` does
    not hold, nothing is waited for, and the matrices must not be read.

    Constraints:
    * C1: the channel is a result of tile.channel, and the results are the matrices of a stage of it.
    * C2: later is less than the depth of the channel.
  }];
  let arguments = (ins Tile_ChannelType:$channel, Tile_PositionType:$position,
                       I64Attr:$later, Optional<I1>:$needed);
  let results = (outs Variadic<AnyMemRef>:$matrices);
  let assemblyFormat = [{
    $channel `[` $position `]` `later` `(` $later `)` (`if` $needed^)? attr-dict
    (`:` type($matrices)^)?
  }];
  let builders = [OpBuilder<(ins "ChannelOp":$channel, "::mlir::Value":$position, "int64_t":$later, CArg<"::mlir::Value", "{}">:$needed)>];
  let hasVerifier = 1;
}

def Tile_ReleaseOp : Tile_Op<"release"> {
  let summary = "is done with the matrices of a stage";
  let arguments = (ins Tile_ChannelType:$channel, Tile_PositionType:$position);
  let results = (outs Tile_PositionType:$next);
  let assemblyFormat = "$channel `[` $position `]` attr-dict";
  let builders = [OpBuilder<(ins "ChannelOp":$channel, "::mlir::Value":$position), [{
    build($_builder, $_state, PositionType::get($_builder.getContext()), channel.getChannel(), position);
  }]>];
  let hasVerifier = 1;
}

def Tile_RolesOp : Tile_Op<"roles", [SingleBlock, NoTerminator]> {
  let summary = "warps that bring tiles to others, which compute";
  let description = [{
    The last `producers` warps of a block run `producer`, the others `consumer`.
    Channels from outside lead from one to the other; those inside are of one role
    alone. All threads meet before, when barriers of channels are ready. Barriers
    inside of the consumer are of its warps (a named one), and layouts and loops
    over shared memory are of the threads of a role.

    ```mlir
    %channel, %first = tile.channel depth(2) rings(%ring : memref<2x64x72xbf16, #gpu.address_space<workgroup>>)
    tile.roles producers(1) producer {
      scf.for ... iter_args(%p = %first) {
        %to = tile.acquire %channel[%p] : memref<64x72xbf16, #gpu.address_space<workgroup>>
        tile.copy %k[] rows(%key to %n) columns(64 of 64), %to : ...
        %p1 = tile.commit %channel[%p]
      }
    } consumer {
      scf.for ... iter_args(%c = %first, %sum = %zero) {
        %now = tile.wait %channel[%c] later(1) : memref<64x72xbf16, #gpu.address_space<workgroup>>
        ...
        %c1 = tile.release %channel[%c]
      }
    }
    gpu.return
    ```

    Constraints:
    * C1: it ends a kernel with a known number of threads: gpu.return alone follows.
    * C2: there are one producer at least and one warp that is none.
    * C3: the producer has no tiles and no barriers, and shared memory only through channels.
    * C4: of a channel from outside, the producer acquires and commits, and the consumer waits and releases.
  }];
  let arguments = (ins I64Attr:$producers);
  let regions = (region SizedRegion<1>:$producer, SizedRegion<1>:$consumer);
  let assemblyFormat = [{
    `producers` `(` $producers `)` `producer` $producer `consumer` $consumer attr-dict
  }];
  let extraClassDeclaration = [{
    static constexpr int64_t kWarpSize = 32;
    int64_t countProducers() { return kWarpSize * static_cast<int64_t>(getProducers()); }
    /// Threads of the consumer.
    int64_t countConsumers();
  }];
  let hasRegionVerifier = 1;
}

def Tile_ArriveOp : Tile_Op<"arrive"> {
  let summary = "waits for all copies that this thread has started";
  let description = [{
    Outside of channels: for rows that are brought once. Others may read them
    after a barrier.
  }];
  let assemblyFormat = "attr-dict";
}

def Tile_StashOp : Tile_Op<"stash", [
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "a tile to shared memory";
  let description = [{
    Element (i, j) to `target[i, j]`, i1 as i8.

    Constraints:
    * C1: target is a shared matrix of the value's element type with room for the tile.
  }];
  let arguments = (ins Tile_Tile:$value, AnyMemRef:$target);
  let assemblyFormat = "$value `,` $target attr-dict `:` type($value) `,` type($target)";
  let hasVerifier = 1;
}

def Tile_FetchOp : Tile_Op<"fetch", [
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "a tile from shared memory";
  let description = [{
    The element (i, j) is `source[i, j]`.

    Constraints:
    * C1: source is a shared matrix of the result's element type that is no smaller than the tile.
  }];
  let arguments = (ins AnyMemRef:$source);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$source attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_ConvertOp : Tile_Op<"convert", [Pure]> {
  let summary = "the same tile in another layout";
  let description = [{
    Only where every thread holds what it needs already: accumulators of one
    product become the left operand of the next. From `wmma_acc` to `wmma_a`,
    lanes l and l + 16 exchange what they hold.

    Constraints:
    * C1: shape and element type stay.
    * C2: no element changes its thread, but from wmma_acc to wmma_a.
  }];
  let arguments = (ins Tile_Tile:$value);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_ContractOp : Tile_Op<"contract", [AttrSizedOperandSegments,
    AllTypesMatch<["acc", "result"]>,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "adds a product of two matrices to a tile";
  let description = [{
    `acc[i, j] + sum_k a[i, k] b[j, k]`, or `b[k, j]` without `transposed`, over
    `depth` values of k, in the element type of `acc`. `b` lies in shared memory;
    `a` does, too, or is a tile in the layout of a left operand, for which the
    products run on matrix units: 16-bit floats, added up in f32.

    Where `present`, a shared matrix of i8 like `a`, is 0, the product is left
    out whatever b holds: 0 times infinity is not added. `unless` says that b has
    only finite numbers, and a zeros where nothing is present: then no product
    has to be left out, and none is asked for. The sums stay in the same registers
    either way, which those of two products in the branches of an `if` do not.

    Constraints:
    * C1: b, and a if it is no tile, are shared matrices large enough for depth and acc.
    * C2: a tile a is 16-bit floats like b, with extents [rows of acc, depth]; layouts of a and acc are mma_a and mma_acc, wmma_a and wmma_acc, mfma twice or wmma_halves twice.
    * C3: `unless` needs a matrix of what is present.
  }];
  let arguments = (ins AnyType:$a, AnyMemRef:$b, Tile_Tile:$acc,
                       Optional<AnyMemRef>:$present, Optional<I1>:$finite,
                       I64Attr:$depth, UnitAttr:$transposed);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = [{
    $a `,` $b `,` $acc (`if` $present^ `:` type($present))? (`unless` $finite^)? `depth` `(` $depth `)`
    (`transposed` $transposed^)? attr-dict
    `:` type($a) `,` type($b) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_CombineOp : Tile_Op<"combine", [AllTypesMatch<["acc", "result"]>, SingleBlock,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "adds a reduction of a region over two matrices to a tile";
  let description = [{
    `reduce(acc[i, j], f(a[i, k], b[j, k], k))` over `depth` values of k, with f
    in the element type of `acc`: additive attention (arXiv 1409.0473), bounds.

    Constraints:
    * C1: a and b are shared matrices large enough for depth and acc.
    * C2: body takes two elements of acc and an index and yields one; the kind is add, max or min.
  }];
  let arguments = (ins Tile_ReduceKindAttr:$kind, AnyMemRef:$a, AnyMemRef:$b,
                       Tile_Tile:$acc, I64Attr:$depth);
  let results = (outs Tile_Tile:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    `` $kind $a `,` $b `,` $acc `depth` `(` $depth `)` $body attr-dict
    `:` type($a) `,` type($b) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_FiniteOp : Tile_Op<"finite", [
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "whether all numbers of a shared matrix are finite";
  let description = [{
    Of the first `rows` x `columns` elements, and of what fills rows up to a
    multiple of 16 bytes, as after `tile.copy`; the same answer for all threads,
    which meet here as at a barrier.
  }];
  let arguments = (ins AnyMemRef:$source, I64Attr:$rows, I64Attr:$columns);
  let results = (outs I1:$result);
  let assemblyFormat = "$source `of` $rows `x` $columns attr-dict `:` type($source)";
}

#endif // ATTN_DIALECT_TILE_IR_TILEOPS_TD
