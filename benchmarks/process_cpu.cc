#include "benchmarks/process_cpu.h"

#include <dirent.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"

namespace rcproxy::benchmarks {
namespace {

// The first `size - 1` bytes of a file; an empty string when it cannot be read.
std::string ReadStart(const std::string& path) {
  char text[1024];
  FILE* file = fopen(path.c_str(), "r");
  if (file == nullptr) return "";
  size_t size = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  return std::string(text, size);
}

double SecondsPerTick() { return 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK)); }

double RunSecondsOfThreads(const std::string& task_dir) {
  DIR* dir = opendir(task_dir.c_str());
  if (dir == nullptr) return 0;
  double nanoseconds = 0;
  while (dirent* entry = readdir(dir)) {
    if (entry->d_name[0] == '.') continue;
    double value = 0;
    std::string text = ReadStart(absl::StrCat(task_dir, "/", entry->d_name, "/schedstat"));
    if (sscanf(text.c_str(), "%lf", &value) == 1) nanoseconds += value;
  }
  closedir(dir);
  return nanoseconds * 1e-9;
}

}  // namespace

CpuSeconds ReadProcessCpu(int pid) {
  CpuSeconds cpu;
  std::string stat = ReadStart(absl::StrCat("/proc/", pid, "/stat"));
  // The program's name is in parentheses and may contain anything.
  size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return cpu;
  unsigned long user = 0, system = 0;
  if (sscanf(stat.c_str() + name_end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
             &user, &system) == 2) {
    cpu.user = static_cast<double>(user) * SecondsPerTick();
    cpu.system = static_cast<double>(system) * SecondsPerTick();
  }
  cpu.total = RunSecondsOfThreads(absl::StrCat("/proc/", pid, "/task"));
  return cpu;
}

double ReadOwnCpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double ReadMachineCpuSeconds() {
  double ticks[8] = {};  // user nice system idle iowait irq softirq steal
  std::string text = ReadStart("/proc/stat");
  sscanf(text.c_str(), "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &ticks[0], &ticks[1], &ticks[2],
         &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]);
  return (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7]) * SecondsPerTick();
}

}  // namespace rcproxy::benchmarks
