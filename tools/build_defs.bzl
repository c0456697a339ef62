"""The project's build rules: one place for warnings, layering and test sizes."""

_FEATURES = ["layering_check"]

def rcproxy_cc_library(name, **kwargs):
    native.cc_library(name = name, features = _FEATURES, **kwargs)

def rcproxy_cc_binary(name, **kwargs):
    native.cc_binary(name = name, features = _FEATURES, **kwargs)

def rcproxy_cc_test(name, deps = [], size = "small", tags = [], also_optimised = False, **kwargs):
    """`also_optimised`: its subject depends on how it was compiled, as memory, threads and time do."""
    native.cc_test(
        name = name,
        size = size,
        tags = tags + ([] if also_optimised else ["checked_only"]),
        features = _FEATURES,
        deps = deps + ["@com_google_googletest//:gtest_main"],
        **kwargs
    )

def rcproxy_cc_benchmark(name, deps = [], **kwargs):
    native.cc_binary(
        name = name,
        testonly = True,
        features = _FEATURES,
        tags = ["benchmark"],
        deps = deps + ["@com_github_google_benchmark//:benchmark_main"],
        **kwargs
    )

def rcproxy_cc_fuzz_test(name, srcs, deps = [], corpus = [], **kwargs):
    """A libFuzzer target. Without --config=fuzz it is an ordinary test that replays the committed corpus."""
    native.cc_test(
        name = name,
        size = "small",
        srcs = srcs,
        data = corpus,
        features = _FEATURES,
        args = ["$(locations %s)" % c for c in corpus],
        linkopts = select({
            "//tools:fuzz": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        deps = deps + select({
            "//tools:fuzz": [],
            "//conditions:default": ["//testing:fuzz_replay_main"],
        }),
        tags = ["fuzz", "checked_only"],
        **kwargs
    )

def rcproxy_python_test(name, srcs, main = None, deps = [], data = [], size = "small", tags = ["optimised"], **kwargs):
    """A unittest module in Python, run by the system's python3. Its cases are counted in the XML it writes.

    Where nothing of ours is run that a compiler has made, one configuration is enough: that is the default of `tags`.
    """
    main = main or name + ".py"
    native.sh_test(
        name = name,
        size = size,
        srcs = ["//tools:run_python_test.sh"],
        args = ["$(location %s)" % main],
        data = srcs + deps + data + ["//testing:unittest_xml.py"],
        tags = tags,
        **kwargs
    )

def rcproxy_integration_test(name, srcs = None, size = "medium", data = [], tags = [], **kwargs):
    """Talks to a real rcproxy, of the same configuration, before a real cluster. Several may run at a time."""
    rcproxy_python_test(
        name = name,
        srcs = srcs or [name + ".py"],
        size = size,
        deps = ["//testing:integration_library"],
        data = ["//proxy:rcproxy"] + data,
        tags = ["integration"] + tags,
        **kwargs
    )
