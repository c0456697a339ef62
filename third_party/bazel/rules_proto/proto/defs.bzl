"""The native protobuf rules under the names that rules_proto gives them; Bazel's own tools load them."""

proto_lang_toolchain = native.proto_lang_toolchain
proto_library = native.proto_library
