"""The system's libraries as external repositories, with the labels that their own Bazel builds use.

Headers lie in the compiler's default search path, so a target here is only a list of link flags, asked
from pkg-config when the repository is set up. Nothing is downloaded. A user with a network may define a
repository of the same name by http_archive instead, without touching a BUILD file.
"""

def _link_flags(ctx, modules):
    """What pkg-config names for `modules`; only the libraries that are really used get linked."""
    if not modules:
        return []
    result = ctx.execute(["pkg-config", "--libs"] + modules)
    if result.return_code:
        fail("%s is not usable: %s\nRun tools/install_packages to install what the build needs." %
             (ctx.attr.debian_package, result.stderr))
    flags = [flag for flag in result.stdout.strip().split(" ") if flag.startswith("-l")]
    return ["-Wl,--push-state,--as-needed"] + flags + ["-Wl,--pop-state"]

def _system_repository_impl(ctx):
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    files = {}
    for label, modules in ctx.attr.targets.items():
        package, _, name = label.partition(":")
        flags = _link_flags(ctx, modules) + (ctx.attr.extra_link_flags.get(label) or [])
        content = files.get(package, "package(default_visibility = [\"//visibility:public\"])\n")
        content += "\ncc_library(\n    name = \"%s\",\n    linkopts = %s,\n)\n" % (name, repr(flags))
        files[package] = content
    for package, content in files.items():
        ctx.file((package + "/" if package else "") + "BUILD.bazel", content)

_system_repository = repository_rule(
    implementation = _system_repository_impl,
    doc = "targets: \"package:name\" to the pkg-config modules whose flags it links; [] for headers alone.",
    attrs = {
        "debian_package": attr.string(mandatory = True),
        "extra_link_flags": attr.string_list_dict(),
        "targets": attr.string_list_dict(mandatory = True),
    },
    # Looked at anew when the server starts: a package may have been installed meanwhile.
    local = True,
)

# Abseil's targets, by the label of its own build.
_ABSL = {
    "absl/algorithm:container": [],
    "absl/base": ["absl_base"],
    "absl/base:core_headers": [],
    "absl/cleanup": [],
    "absl/container:btree": ["absl_btree"],
    "absl/container:fixed_array": ["absl_fixed_array"],
    "absl/container:flat_hash_map": ["absl_flat_hash_map"],
    "absl/container:flat_hash_set": ["absl_flat_hash_set"],
    "absl/container:inlined_vector": ["absl_inlined_vector"],
    "absl/debugging:failure_signal_handler": ["absl_failure_signal_handler"],
    "absl/debugging:stacktrace": ["absl_stacktrace"],
    "absl/debugging:symbolize": ["absl_symbolize"],
    "absl/functional:any_invocable": ["absl_any_invocable"],
    "absl/functional:bind_front": [],
    "absl/functional:function_ref": [],
    "absl/hash": ["absl_hash"],
    "absl/memory": [],
    "absl/meta:type_traits": [],
    "absl/numeric:bits": [],
    "absl/numeric:int128": ["absl_int128"],
    "absl/random": ["absl_random_random"],
    "absl/random:bit_gen_ref": ["absl_random_bit_gen_ref"],
    "absl/random:distributions": ["absl_random_distributions"],
    "absl/status": ["absl_status"],
    "absl/status:statusor": ["absl_statusor"],
    "absl/strings": ["absl_strings"],
    "absl/strings:cord": ["absl_cord"],
    "absl/strings:str_format": ["absl_str_format"],
    "absl/synchronization": ["absl_synchronization"],
    "absl/time": ["absl_time"],
    "absl/types:optional": ["absl_optional"],
    "absl/types:span": ["absl_span"],
    "absl/types:variant": ["absl_variant"],
}

def _with_name(label):
    """"absl/base" stands for "absl/base:base", as in BUILD files."""
    return label if ":" in label else label + ":" + label.split("/")[-1]

def system_libraries():
    _system_repository(
        name = "com_google_absl",
        debian_package = "libabsl-dev",
        targets = {_with_name(label): modules for label, modules in _ABSL.items()},
    )
    _system_repository(
        name = "com_github_gflags_gflags",
        debian_package = "libgflags-dev",
        targets = {":gflags": ["gflags"]},
    )
    _system_repository(
        name = "com_github_google_glog",
        debian_package = "libgoogle-glog-dev",
        targets = {":glog": ["libglog", "gflags"]},
    )
    _system_repository(
        name = "com_google_googletest",
        debian_package = "googletest, libgmock-dev and libgtest-dev",
        targets = {
            ":gtest": ["gmock", "gtest"],
            ":gtest_main": ["gmock", "gtest_main"],
        },
    )
    _system_repository(
        name = "com_github_google_benchmark",
        debian_package = "libbenchmark-dev",
        targets = {
            ":benchmark": ["benchmark"],
            ":benchmark_main": ["benchmark"],
        },
        # Debian's package describes only the library itself to pkg-config. The part with main() is a
        # separate one, and has to stand before the library.
        extra_link_flags = {":benchmark_main": ["-lbenchmark_main", "-lbenchmark"]},
    )
    _system_repository(
        name = "liburing",
        debian_package = "liburing-dev",
        targets = {":uring": ["liburing"]},
    )
    _system_repository(
        name = "hiredis",
        debian_package = "libhiredis-dev",
        targets = {":hiredis": ["hiredis"]},
    )
    _system_repository(
        name = "com_github_jupp0r_prometheus_cpp",
        debian_package = "prometheus-cpp-dev",
        targets = {
            "core:core": ["prometheus-cpp-core"],
            "pull:pull": ["prometheus-cpp-pull"],
        },
    )
