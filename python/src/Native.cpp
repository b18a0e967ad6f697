//===- Native.cpp - compiled programs as Python objects -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bridge.h"
#include "Threads.h"
#include "attn_emulator.h"
#include <cstring>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace nb::literals;
using namespace attn_python;

namespace {

/// Arguments as the runtime takes them. What nanobind keeps of an array lives
/// as long as this does.
class Arguments {
public:
  explicit Arguments(const nb::tuple &values) {
    size_t count = values.size();
    arrays.reserve(count);
    tensors.resize(count);
    for (size_t index = 0; index < count; ++index) {
      auto &array = arrays.emplace_back();
      nb::handle value = values[index];
      if (!nb::try_cast(value, array)) {
        std::string message = "argument " + std::to_string(index) + ", a " +
                              nb::inst_name(value).c_str() +
                              ", does not give access to its elements by "
                              "DLPack";
        throw nb::type_error(message.c_str());
      }
      DLTensor &tensor = tensors[index];
      tensor.data = const_cast<void *>(array.data());
      tensor.device = {static_cast<DLDeviceType>(array.device_type()),
                       array.device_id()};
      tensor.ndim = static_cast<int32_t>(array.ndim());
      nb::dlpack::dtype type = array.dtype();
      tensor.dtype = {type.code, type.bits, type.lanes};
      tensor.shape = const_cast<int64_t *>(array.shape_ptr());
      tensor.strides = const_cast<int64_t *>(array.stride_ptr());
      tensor.byte_offset = 0;
      pointers.push_back(&tensor);
    }
  }

  const std::vector<const DLTensor *> &get() const { return pointers; }

private:
  std::vector<nb::ndarray<nb::ro>> arrays;
  std::vector<DLTensor> tensors;
  std::vector<const DLTensor *> pointers;
};

/// A Python object over a tensor of the runtime, which it gives back.
template <typename Framework> nb::object wrap(DLManagedTensor *tensor) {
  nb::capsule owner(tensor, [](void *data) noexcept {
    auto *managed = static_cast<DLManagedTensor *>(data);
    managed->deleter(managed);
  });
  const DLTensor &value = tensor->dl_tensor;
  std::vector<size_t> shape(value.shape, value.shape + value.ndim);
  nb::dlpack::dtype type = {value.dtype.code, value.dtype.bits,
                            value.dtype.lanes};
  return nb::cast(nb::ndarray<Framework>(
      static_cast<char *>(value.data) + value.byte_offset, shape.size(),
      shape.data(), owner, value.strides, type, value.device.device_type,
      value.device.device_id));
}

/// What results are: arrays of NumPy or PyTorch, or objects that any library
/// takes by DLPack.
enum class Kind { NumPy = 0, PyTorch = 1, Other = 2 };

nb::object wrap(DLManagedTensor *tensor, Kind kind) {
  return kind == Kind::NumPy     ? wrap<nb::numpy>(tensor)
         : kind == Kind::PyTorch ? wrap<nb::pytorch>(tensor)
                                 : wrap<nb::array_api>(tensor);
}

[[noreturn]] void raise(attn_status status) {
  PyObject *type = status == ATTN_OUT_OF_MEMORY ? PyExc_MemoryError
                   : status == ATTN_UNSUPPORTED ||
                           status == ATTN_SYSTEM_ERROR ||
                           status == ATTN_DEVICE_FAILED
                       ? PyExc_RuntimeError
                       : PyExc_ValueError;
  PyErr_SetString(type, attn_get_message());
  throw nb::python_error();
}

void raiseIfFailed(attn_status status) {
  if (status != ATTN_OK) {
    raise(status);
  }
}

/// Calls the function, which allocates its results.
std::vector<DLManagedTensor *> callNew(const attn_function *function,
                                       attn_stream *stream,
                                       const Arguments &arguments) {
  size_t count = attn_function_get_num_results(function);
  std::vector<DLManagedTensor *> results(count, nullptr);
  attn_status status;
  {
    nb::gil_scoped_release release;
    status = attn_function_call_new(function, stream, arguments.get().data(),
                                    arguments.get().size(), results.data(),
                                    count, nullptr);
  }
  raiseIfFailed(status);
  return results;
}

nb::list wrap(const std::vector<DLManagedTensor *> &results, int kind) {
  nb::list list;
  for (DLManagedTensor *result : results) {
    list.append(wrap(result, static_cast<Kind>(kind)));
  }
  return list;
}

/// Calls the function on the host.
nb::list call(const Program &program, const nb::tuple &values, int kind) {
  Arguments arguments(values);
  auto results = callNew(program.getFunction(), nullptr, arguments);
  const char *fault =
      program.isEmulated() ? attn_emulator_take_error() : nullptr;
  if (fault) {
    for (DLManagedTensor *result : results) {
      if (result) {
        result->deleter(result);
      }
    }
    PyErr_SetString(PyExc_RuntimeError, fault);
    throw nb::python_error();
  }
  return wrap(results, kind);
}

/// Type and number of a device, as DLPack has them.
using Place = std::pair<int, int>;

DLDevice getDevice(const Place &place) {
  return {static_cast<DLDeviceType>(place.first), place.second};
}

/// A stream of the caller's, for the time of a call.
class StreamOfCaller {
public:
  StreamOfCaller(const Place &place, uintptr_t native) {
    raiseIfFailed(attn_stream_wrap(getDevice(place),
                                   reinterpret_cast<void *>(native), &stream));
  }
  StreamOfCaller(const StreamOfCaller &) = delete;
  StreamOfCaller &operator=(const StreamOfCaller &) = delete;
  ~StreamOfCaller() { attn_stream_release(stream); }

  attn_stream *get() const { return stream; }

private:
  attn_stream *stream = nullptr;
};

/// The shapes of all results; nothing where only the call can tell one.
std::vector<nb::tuple> getResultShapes(const attn_function *function,
                                       const Arguments &arguments) {
  std::vector<nb::tuple> shapes;
  for (size_t i = 0; i < attn_function_get_num_results(function); ++i) {
    attn_parameter parameter;
    raiseIfFailed(attn_function_get_result(function, i, &parameter));
    std::vector<int64_t> shape(parameter.rank);
    raiseIfFailed(attn_function_get_result_shape(
        function, arguments.get().data(), arguments.get().size(), i,
        shape.data()));
    nb::list list;
    for (int64_t extent : shape) {
      if (extent < 0) {
        return {};
      }
      list.append(extent);
    }
    shapes.push_back(nb::tuple(list));
  }
  return shapes;
}

/// Bytes to work in on a device, by `allocate`. Nothing where only the call can
/// tell how many.
nb::object allocateWorkspace(const attn_function *function,
                             const Arguments &arguments,
                             const nb::object &allocate, size_t &bytes) {
  attn_status status = attn_function_get_workspace(
      function, arguments.get().data(), arguments.get().size(), &bytes);
  if (status == ATTN_UNBOUNDED) {
    bytes = 0;
  } else {
    raiseIfFailed(status);
  }
  return bytes ? allocate(-1, nb::make_tuple(bytes)) : nb::none();
}

/// Calls the function on a GPU, in the order of the caller's stream.
/// `allocate(index, shape)` makes the arrays of results, and bytes to work in
/// as number -1. Without it the call is done on return.
nb::list callOnDevice(const Program &program, const nb::tuple &values, int kind,
                      const Place &device, uintptr_t native,
                      const nb::object &allocate) {
  Arguments arguments(values);
  const attn_function *function = program.getFunction();
  StreamOfCaller stream(device, native);
  auto shapes = allocate.is_none() ? std::vector<nb::tuple>()
                                   : getResultShapes(function, arguments);
  if (shapes.empty()) {
    auto results = callNew(function, stream.get(), arguments);
    nb::list list = wrap(results, kind);
    attn_status status = ATTN_OK;
    if (allocate.is_none()) {
      nb::gil_scoped_release release;
      status = attn_stream_synchronize(stream.get());
    }
    raiseIfFailed(status);
    return list;
  }
  // What was just allocated on the stream waits for no other.
  auto exportArray = [](const nb::handle &array) {
    return array.attr("__dlpack__")("stream"_a = -1);
  };
  nb::list made, exported;
  for (size_t i = 0; i < shapes.size(); ++i) {
    made.append(allocate(i, shapes[i]));
    exported.append(exportArray(made[i]));
  }
  attn_call_options options = {};
  nb::object workspace =
      allocateWorkspace(function, arguments, allocate, options.workspace_bytes);
  Arguments scratch(workspace.is_none()
                        ? nb::tuple()
                        : nb::make_tuple(exportArray(workspace)));
  if (!workspace.is_none()) {
    options.workspace = scratch.get()[0]->data;
  }
  Arguments results{nb::tuple(exported)};
  attn_status status;
  {
    nb::gil_scoped_release release;
    status = attn_function_call(function, stream.get(), arguments.get().data(),
                                arguments.get().size(), results.get().data(),
                                results.get().size(), &options);
  }
  raiseIfFailed(status);
  return made;
}

/// A copy of an array of the host, which has no gaps, on a GPU.
nb::object copyToDevice(const nb::object &array, const Place &place) {
  DLDevice device = getDevice(place);
  Arguments arguments(nb::make_tuple(array));
  const DLTensor &tensor = *arguments.get()[0];
  int64_t gapless = 1;
  for (int axis = tensor.ndim; axis-- > 0;) {
    if (tensor.strides && tensor.shape[axis] != 1 &&
        tensor.strides[axis] != gapless) {
      throw nb::value_error("an array of the host that a function closes over "
                            "is copied to a device, for which it must be "
                            "contiguous");
    }
    gapless *= tensor.shape[axis];
  }
  DLManagedTensor *copy = nullptr;
  raiseIfFailed(attn_tensor_create(device, tensor.dtype, tensor.ndim,
                                   tensor.shape, &copy));
  nb::object result = wrap(copy, Kind::Other);
  auto bytes = static_cast<size_t>(gapless) * (tensor.dtype.bits / 8);
  raiseIfFailed(attn_memory_copy(device, copy->dl_tensor.data, tensor.device,
                                 tensor.data, bytes, nullptr));
  return result;
}

void synchronize(const Place &device, uintptr_t native) {
  StreamOfCaller stream(device, native);
  attn_status status;
  {
    nb::gil_scoped_release release;
    status = attn_stream_synchronize(stream.get());
  }
  raiseIfFailed(status);
}

Options makeOptions(int64_t maxRecomputeFactor, int64_t splits, bool cache,
                    const std::string &target) {
  return {maxRecomputeFactor, splits, cache, target};
}

nb::list listMessages(const std::vector<Message> &messages) {
  nb::list list;
  for (const Message &message : messages) {
    list.append(nb::make_tuple(message.severity, message.text, message.file,
                               message.line, message.column));
  }
  return list;
}

nb::dict describe(const Failure &failure) {
  nb::dict result;
  result["reason"] = failure.reason;
  result["messages"] = listMessages(failure.messages);
  return result;
}

/// A result, or a dictionary that says why there is none.
nb::object compileText(const std::string &text, int64_t maxRecomputeFactor,
                       int64_t splits, const std::string &target, bool cache) {
  Failure failure;
  std::shared_ptr<Program> program;
  {
    nb::gil_scoped_release release;
    program = Program::compile(
        text, makeOptions(maxRecomputeFactor, splits, cache, target), failure);
  }
  return program ? nb::cast(program) : describe(failure);
}

nb::object printText(const std::string &text, int64_t maxRecomputeFactor,
                     int64_t splits, const std::string &target, bool plan) {
  Failure failure;
  std::string printed;
  {
    nb::gil_scoped_release release;
    printed =
        print(text, makeOptions(maxRecomputeFactor, splits, false, target),
              plan, failure);
  }
  return failure.reason.empty() ? nb::cast(printed) : describe(failure);
}

nb::object mapText(const std::string &text, const nb::tuple &values,
                   int64_t maxRecomputeFactor, int64_t splits,
                   const std::string &target, int64_t block) {
  Failure failure;
  Arguments arguments(values);
  std::vector<TileMap> maps;
  {
    nb::gil_scoped_release release;
    maps =
        mapTiles(text, makeOptions(maxRecomputeFactor, splits, false, target),
                 arguments.get(), block, failure);
  }
  if (!failure.reason.empty()) {
    return describe(failure);
  }
  nb::list result;
  for (const TileMap &map : maps) {
    nb::bytes tiles(map.tiles.data(), map.tiles.size());
    result.append(
        nb::make_tuple(map.stream, map.sweep, map.rows, map.keys, tiles));
  }
  return result;
}

nb::object checkText(const std::string &text, const nb::tuple &values,
                     int64_t maxRecomputeFactor, int64_t splits,
                     const std::string &target, const nb::tuple &found) {
  Failure failure;
  Arguments arguments(values), results(found);
  std::vector<Comparison> comparisons;
  {
    nb::gil_scoped_release release;
    comparisons =
        check(text, makeOptions(maxRecomputeFactor, splits, false, target),
              arguments.get(), results.get(), failure);
  }
  if (!failure.reason.empty()) {
    return describe(failure);
  }
  nb::list result;
  for (const Comparison &comparison : comparisons) {
    result.append(nb::make_tuple(comparison.name, comparison.error,
                                 comparison.budget, comparison.magnitude,
                                 comparison.mismatches, comparison.passes));
  }
  return result;
}

nb::object findTargetOf(const Place &device) {
  Failure failure;
  std::string target = findTarget(getDevice(device), failure);
  return failure.reason.empty() ? nb::cast(target) : describe(failure);
}

} // namespace

NB_MODULE(_native, m) {
  // Programs live in caches of the interpreter, which may outlive the module.
  nb::set_leak_warnings(false);
  nb::class_<Program>(m, "Program")
      .def("__call__", &call, "arguments"_a, "kind"_a)
      .def("call_on_device", &callOnDevice, "arguments"_a, "kind"_a, "device"_a,
           "stream"_a, "allocate"_a.none())
      .def_prop_ro("from_cache", &Program::isFromCache)
      .def_prop_ro("messages", [](const Program &program) {
        return listMessages(program.getMessages());
      });
  m.def("compile", &compileText, "text"_a, "max_recompute_factor"_a, "splits"_a,
        "target"_a, "cache"_a);
  m.def("print", &printText, "text"_a, "max_recompute_factor"_a, "splits"_a,
        "target"_a, "plan"_a);
  m.def("check", &checkText, "text"_a, "arguments"_a, "max_recompute_factor"_a,
        "splits"_a, "target"_a, "results"_a);
  m.def("check_target", &checkTarget, "target"_a);
  m.def("find_target", &findTargetOf, "device"_a);
  m.def("copy_to_device", &copyToDevice, "array"_a, "device"_a);
  m.def("synchronize", &synchronize, "device"_a, "stream"_a);
  m.def("map_tiles", &mapText, "text"_a, "arguments"_a,
        "max_recompute_factor"_a, "splits"_a, "target"_a, "block"_a);
  m.def("set_num_threads", &attn_set_num_threads, "count"_a);
  m.def("get_num_threads", &attn_get_num_threads);
  m.def("share_threads", &shareThreads);
  m.def("version", &attn_get_version);
}
