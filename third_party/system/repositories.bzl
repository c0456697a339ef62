"""The system's libraries as external repositories, with the labels that their own Bazel builds use."""

def _system_repository_impl(ctx):
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    for package, libraries in ctx.attr.packages.items():
        content = "package(default_visibility = [\"//visibility:public\"])\n"
        for entry in libraries:
            # "target=-lflag -lflag": the headers are in the compiler's default search path.
            name, _, flags = entry.partition("=")
            content += "cc_library(name = \"%s\", linkopts = %s)\n" % (name, flags.split(" ") if flags else [])
        ctx.file((package + "/" if package else "") + "BUILD.bazel", content)

_system_repository = repository_rule(
    implementation = _system_repository_impl,
    attrs = {"packages": attr.string_list_dict()},
    local = True,
)

_ABSL = {
    "status": ["status=-labsl_status", "statusor=-labsl_statusor -labsl_status"],
    "strings": ["strings=-labsl_strings -labsl_throw_delegate -labsl_raw_logging_internal -labsl_int128", "str_format=-labsl_str_format_internal", "cord=-labsl_cord"],
    "types": ["span="],
    "time": ["time=-labsl_time"],
    "random": ["random=-labsl_random_distributions -labsl_random_seed_sequences"],
    "container": ["flat_hash_map=-labsl_raw_hash_set -labsl_hash", "flat_hash_set=-labsl_raw_hash_set -labsl_hash", "inlined_vector="],
    "synchronization": ["synchronization=-labsl_synchronization"],
    "base": ["core_headers=", "base=-labsl_base"],
    "functional": ["function_ref=", "any_invocable="],
    "cleanup": ["cleanup="],
    "debugging": ["failure_signal_handler=-labsl_failure_signal_handler", "symbolize=-labsl_symbolize"],
    "hash": ["hash=-labsl_hash"],
}

# Static linking order inside abseil is left to the shared libraries of the distribution.
_ABSL_ALL = "-labsl_failure_signal_handler -labsl_symbolize -labsl_statusor -labsl_status -labsl_cord -labsl_str_format_internal -labsl_raw_hash_set -labsl_hash -labsl_city -labsl_low_level_hash -labsl_random_distributions -labsl_random_seed_sequences -labsl_synchronization -labsl_time -labsl_strings -labsl_strings_internal -labsl_throw_delegate -labsl_raw_logging_internal -labsl_base"

def system_libraries():
    _system_repository(
        name = "com_google_absl",
        packages = {"absl/" + p: [e.partition("=")[0] + "=" + _ABSL_ALL for e in entries] for p, entries in _ABSL.items()},
    )
    _system_repository(name = "com_github_gflags_gflags", packages = {"": ["gflags=-lgflags"]})
    _system_repository(name = "com_github_google_glog", packages = {"": ["glog=-lglog -lgflags"]})
    _system_repository(name = "com_google_googletest", packages = {"": ["gtest=-lgmock -lgtest", "gtest_main=-lgmock -lgtest_main -lgtest"]})
    _system_repository(name = "com_github_google_benchmark", packages = {"": ["benchmark=-lbenchmark", "benchmark_main=-lbenchmark_main -lbenchmark"]})
    _system_repository(name = "liburing", packages = {"": ["uring=-luring"]})
    _system_repository(name = "hiredis", packages = {"": ["hiredis=-lhiredis"]})
