// The CPU time other processes have used so far, as the kernel accounts it.
#pragma once

namespace rcproxy::benchmarks {

struct CpuSeconds {
  double total = 0;  // All threads alive, io_uring workers included; exact to the scheduler tick.
  double user = 0;   // Both in steps of 10 ms: use them for the ratio only.
  double system = 0;

  CpuSeconds operator-(const CpuSeconds& earlier) const {
    return {total - earlier.total, user - earlier.user, system - earlier.system};
  }
};

// All zeros when there is no such process. Source: proc(5), /proc/PID/stat and
// /proc/PID/task/TID/schedstat.
CpuSeconds ReadProcessCpu(int pid);

// Of this process.
double ReadOwnCpuSeconds();

// Of everything on the machine, idle and waiting excluded; in steps of 10 ms.
double ReadMachineCpuSeconds();

}  // namespace rcproxy::benchmarks
